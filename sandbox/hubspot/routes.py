"""Every path of HubSpot's API that is served: method, path, handler, and the scope it needs."""

from typing import Final

from sandbox.hubspot import (
    account,
    associations,
    associations_v3,
    catalog,
    custom_objects,
    exports,
    lists,
    logs,
    objects,
    users,
)
from sandbox.hubspot.request import Handler
from sandbox.hubspot.stubs import UNUSED
from sandbox.hubspot.v1 import marketing
from sandbox.hubspot.v1.routes import V1_ROUTES

_OBJECTS = "/crm/v3/objects/{object}"
_PROPERTIES = "/crm/v3/properties/{object}"
_LINK = "/crm/v4/objects/{object}/{record_id}/associations/{to_object}"
_DEFAULT_LINK = "/crm/v4/objects/{object}/{record_id}/associations/default/{to_object}/{to_id}"
_PIPELINE = "/crm/v3/pipelines/{object}/{pipeline_id}"
_LINKS = "/crm/v4/associations/{object}/{to_object}"
_LINKS_3 = "/crm/v3/associations/{object}/{to_object}"
_LINK_3 = "/crm/v3/objects/{object}/{record_id}/associations"
_MEMBERS = "/crm/v3/lists/{list_id}/memberships"

ROUTES: Final[tuple[tuple[str, str, Handler, str], ...]] = (
    ("POST", f"{_OBJECTS}/merge", objects.merge, "write"),
    (
        "POST",
        "/crm/v3/objects/contacts/gdpr-delete",
        objects.erase_contact,
        "crm.objects.contacts.write",
    ),
    ("POST", f"{_OBJECTS}/search", objects.search, "read"),
    ("POST", f"{_OBJECTS}/batch/read", objects.batch_read, "read"),
    ("POST", f"{_OBJECTS}/batch/update", objects.batch_update, "write"),
    ("POST", f"{_OBJECTS}/batch/create", objects.batch_create, "write"),
    ("POST", f"{_OBJECTS}/batch/upsert", objects.batch_upsert, "write"),
    ("POST", f"{_OBJECTS}/batch/archive", objects.batch_archive, "write"),
    ("GET", _OBJECTS, objects.list_records, "read"),
    ("POST", _OBJECTS, objects.create_record, "write"),
    ("GET", f"{_OBJECTS}/{{record_id}}", objects.read_record, "read"),
    ("PATCH", f"{_OBJECTS}/{{record_id}}", objects.update_record, "write"),
    ("DELETE", f"{_OBJECTS}/{{record_id}}", objects.archive_record, "write"),
    ("POST", f"{_LINKS}/batch/read", associations.batch_read, "read"),
    ("POST", f"{_LINKS}/batch/associate/default", associations.batch_associate, "write"),
    ("PUT", f"{_LINK}/{{to_id}}", associations.label, "write"),
    ("DELETE", f"{_LINK}/{{to_id}}", associations.unlink, "write"),
    ("PUT", _DEFAULT_LINK, associations.associate, "write"),
    ("POST", f"{_LINKS}/batch/create", associations.batch_create, "write"),
    ("POST", f"{_LINKS}/batch/archive", associations.batch_archive, "write"),
    ("GET", f"{_LINKS}/labels", associations.labels, "read"),
    ("GET", _LINK, associations.list_links, "read"),
    ("GET", _PROPERTIES, account.properties, "schemas"),
    ("POST", _PROPERTIES, account.create_property, "schemas-write"),
    ("POST", f"{_PROPERTIES}/batch/create", account.create_properties, "schemas-write"),
    ("POST", f"{_PROPERTIES}/batch/read", catalog.read_properties, "schemas"),
    ("POST", f"{_PROPERTIES}/batch/archive", catalog.archive_properties, "schemas-write"),
    ("GET", f"{_PROPERTIES}/groups", account.groups, "schemas"),
    ("POST", f"{_PROPERTIES}/groups", catalog.create_group, "schemas-write"),
    ("GET", f"{_PROPERTIES}/groups/{{group}}", catalog.group, "schemas"),
    ("PATCH", f"{_PROPERTIES}/groups/{{group}}", catalog.update_group, "schemas-write"),
    ("DELETE", f"{_PROPERTIES}/groups/{{group}}", catalog.archive_group, "schemas-write"),
    ("GET", f"{_PROPERTIES}/{{name}}", account.one_property, "schemas"),
    ("PATCH", f"{_PROPERTIES}/{{name}}", account.update_property, "schemas-write"),
    ("DELETE", f"{_PROPERTIES}/{{name}}", account.archive_property, "schemas-write"),
    ("GET", "/crm/v3/pipelines/{object}", account.pipelines, "read"),
    ("GET", _PIPELINE, account.pipeline, "read"),
    ("GET", f"{_PIPELINE}/stages", catalog.stages, "read"),
    ("GET", f"{_PIPELINE}/stages/{{stage_id}}", catalog.stage, "read"),
    ("GET", "/crm/v3/owners", account.owners, "crm.objects.owners.read"),
    ("GET", "/crm/v3/owners/{owner_id}", account.owner, "crm.objects.owners.read"),
    ("GET", "/crm/v3/lists", lists.all_lists, "crm.lists.read"),
    ("POST", "/crm/v3/lists", lists.create, "crm.lists.write"),
    ("POST", "/crm/v3/lists/search", lists.search, "crm.lists.read"),
    (
        "GET",
        "/crm/v3/lists/records/{object}/{record_id}/memberships",
        lists.of_record,
        "crm.lists.read",
    ),
    ("GET", "/crm/v3/lists/object-type-id/{object}/name/{name}", lists.by_name, "crm.lists.read"),
    ("GET", "/crm/v3/lists/{list_id}", lists.one_list, "crm.lists.read"),
    ("GET", _MEMBERS, lists.memberships, "crm.lists.read"),
    ("DELETE", "/crm/v3/lists/{list_id}", lists.remove, "crm.lists.write"),
    ("PUT", "/crm/v3/lists/{list_id}/update-list-name", lists.rename, "crm.lists.write"),
    ("DELETE", _MEMBERS, lists.clear, "crm.lists.write"),
    ("GET", f"{_MEMBERS}/join-order", lists.memberships, "crm.lists.read"),
    ("PUT", f"{_MEMBERS}/add-and-remove", lists.replace_members, "crm.lists.write"),
    ("PUT", f"{_MEMBERS}/add", lists.add_members, "crm.lists.write"),
    ("PUT", f"{_MEMBERS}/remove", lists.remove_members, "crm.lists.write"),
    ("POST", "/crm/v3/exports/export/async", exports.start, "crm.export"),
    ("GET", "/crm/v3/exports/export/async/tasks/{task_id}/status", exports.state, "crm.export"),
    ("GET", "/account-info/v3/details", account.details, "oauth"),
    ("GET", "/account-info/v3/api-usage/daily/private-apps", account.usage, "oauth"),
    ("GET", "/marketing/v3/forms", logs.forms, "forms"),
    ("GET", "/marketing/v3/forms/{form_id}", logs.form, "forms"),
    ("GET", "/marketing/v3/emails", marketing.mails_today, "content"),
    ("GET", "/form-integrations/v1/submissions/forms/{form_id}", logs.submissions, "forms"),
    ("GET", "/email/public/v1/events", logs.email_events, "content"),
    ("GET", "/email/public/v1/events/{created}/{id}", logs.email_event, "content"),
    *(
        row
        for root in ("/crm/v3/schemas", "/crm-object-schemas/v3/schemas")
        for row in (
            ("GET", root, custom_objects.all_schemas, "crm.schemas.custom.read"),
            ("POST", root, custom_objects.create, "crm.schemas.custom.write"),
            ("GET", f"{root}/{{object}}", custom_objects.schema, "schemas"),
            ("PATCH", f"{root}/{{object}}", custom_objects.update, "crm.schemas.custom.write"),
            ("DELETE", f"{root}/{{object}}", custom_objects.remove, "crm.schemas.custom.write"),
            (
                "POST",
                f"{root}/{{object}}/associations",
                custom_objects.associate,
                "crm.schemas.custom.write",
            ),
        )
    ),
    ("GET", "/crm/v4/objects/{object}", objects.list_records, "read"),
    ("POST", f"{_LINKS_3}/batch/read", associations_v3.batch_read, "read"),
    ("POST", f"{_LINKS_3}/batch/create", associations_v3.batch_create, "write"),
    ("POST", f"{_LINKS_3}/batch/archive", associations_v3.batch_archive, "write"),
    ("GET", f"{_LINKS_3}/types", associations_v3.types, "read"),
    ("GET", f"{_LINK_3}/{{to_object}}", associations_v3.list_links, "read"),
    ("PUT", f"{_LINK_3}/{{to_object}}/{{to_id}}/{{type}}", associations_v3.associate, "write"),
    ("DELETE", f"{_LINK_3}/{{to_object}}/{{to_id}}/{{type}}", associations.unlink, "write"),
    ("GET", "/settings/v3/users", users.users, "settings.users.read"),
    ("GET", "/settings/v3/users/roles", users.roles, "settings.users.read"),
    ("GET", "/settings/v3/users/teams", users.teams, "settings.users.teams.read"),
    ("GET", "/settings/v3/users/{user_id}", users.user, "settings.users.read"),
    ("GET", "/events/v3/events", logs.events, "business-intelligence"),
    ("GET", "/events/v3/events/event-types", logs.event_types, "business-intelligence"),
    *UNUSED,
    *V1_ROUTES,
)
"""Method, path, handler, scope.

"read", "write", "schemas" and "schemas-write" mean the scope of the object itself.
"""
