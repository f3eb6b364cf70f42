"""Every path of HubSpot's older APIs that is served, in the form of the table of today's paths."""

from typing import Final

from sandbox.hubspot import (
    account,
    catalog,
    legacy,
    legacy_catalog,
    legacy_contacts,
    legacy_engagements,
    legacy_lists,
    legacy_marketing,
    legacy_writes,
    users,
)
from sandbox.hubspot.call import Handler

_CONTACT = "/contacts/v1/contact"
_LISTS = "/contacts/v1/lists"
_LIST = "/contacts/v1/lists/{list_id}"
_COMPANIES = "/companies/v2/companies"
_COMPANY = "/companies/v2/companies/{record_id}"
_DEALS = "/deals/v1/deal"
_DEAL = "/deals/v1/deal/{record_id}"
_LINKS = "/crm-associations/v1/associations"
_ENGAGEMENTS = "/engagements/v1/engagements"
_MAILINGS = "/email/public/v1"
_CONTACTS_READ, _CONTACTS_WRITE = "crm.objects.contacts.read", "crm.objects.contacts.write"
_COMPANIES_READ, _COMPANIES_WRITE = "crm.objects.companies.read", "crm.objects.companies.write"
_DEALS_READ, _DEALS_WRITE = "crm.objects.deals.read", "crm.objects.deals.write"
_LISTS_READ, _LISTS_WRITE = "crm.lists.read", "crm.lists.write"

_Row = tuple[str, str, Handler, str]


def _catalog(root: str) -> tuple[_Row, ...]:
    """The paths of properties and their groups, which had several roots."""
    property, group = f"{root}/properties/named/{{name}}", f"{root}/groups/named/{{group}}"
    return (
        ("GET", f"{root}/properties", legacy_catalog.properties, "schemas"),
        ("POST", f"{root}/properties", legacy_catalog.create_property, "schemas"),
        ("GET", property, legacy_catalog.one_property, "schemas"),
        ("PUT", property, legacy_catalog.update_property, "schemas"),
        ("PATCH", property, legacy_catalog.update_property, "schemas"),
        ("DELETE", property, account.archive_property, "schemas"),
        ("GET", f"{root}/groups", legacy_catalog.groups, "schemas"),
        ("POST", f"{root}/groups", legacy_catalog.create_group, "schemas"),
        ("PUT", group, legacy_catalog.update_group, "schemas"),
        ("DELETE", group, catalog.archive_group, "schemas"),
    )


LEGACY_ROUTES: Final[tuple[_Row, ...]] = (
    ("POST", _CONTACT, legacy_contacts.create, _CONTACTS_WRITE),
    ("POST", f"{_CONTACT}/batch", legacy_contacts.write_many, _CONTACTS_WRITE),
    ("GET", f"{_CONTACT}/vids/batch", legacy_contacts.read_many, _CONTACTS_READ),
    ("GET", f"{_CONTACT}/emails/batch", legacy_contacts.read_many, _CONTACTS_READ),
    ("GET", f"{_CONTACT}/utk/{{token}}/profile", legacy_contacts.by_browser, _CONTACTS_READ),
    ("GET", f"{_CONTACT}/vid/{{vid}}/profile", legacy_contacts.read, _CONTACTS_READ),
    ("POST", f"{_CONTACT}/vid/{{vid}}/profile", legacy_contacts.update, _CONTACTS_WRITE),
    ("DELETE", f"{_CONTACT}/vid/{{vid}}", legacy_contacts.archive, _CONTACTS_WRITE),
    ("GET", f"{_CONTACT}/email/{{email}}/profile", legacy_contacts.read, _CONTACTS_READ),
    ("POST", f"{_CONTACT}/email/{{email}}/profile", legacy_contacts.update, _CONTACTS_WRITE),
    (
        "POST",
        f"{_CONTACT}/createOrUpdate/email/{{email}}",
        legacy_contacts.create_or_update,
        _CONTACTS_WRITE,
    ),
    ("POST", f"{_CONTACT}/merge-vids/{{vid}}", legacy_contacts.merge, _CONTACTS_WRITE),
    ("GET", "/contacts/v1/search/query", legacy_contacts.search, _CONTACTS_READ),
    ("GET", _LISTS, legacy_lists.everything, _LISTS_READ),
    ("POST", _LISTS, legacy_lists.create, _LISTS_WRITE),
    ("GET", f"{_LISTS}/static", legacy_lists.static, _LISTS_READ),
    ("GET", f"{_LISTS}/dynamic", legacy_lists.dynamic, _LISTS_READ),
    ("GET", f"{_LISTS}/batch", legacy_lists.some, _LISTS_READ),
    ("GET", _LIST, legacy_lists.one, _LISTS_READ),
    ("POST", _LIST, legacy_lists.rename, _LISTS_WRITE),
    ("DELETE", _LIST, legacy_lists.remove, _LISTS_WRITE),
    ("POST", f"{_LIST}/refresh", legacy_lists.refresh, _LISTS_WRITE),
    ("POST", f"{_LIST}/add", legacy_lists.add, _LISTS_WRITE),
    ("POST", f"{_LIST}/remove", legacy_lists.take_off, _LISTS_WRITE),
    ("GET", f"{_LIST}/contacts/all", legacy_lists.contacts, _CONTACTS_READ),
    ("GET", f"{_LIST}/contacts/recent", legacy_lists.recent, _CONTACTS_READ),
    ("POST", _COMPANIES, legacy_writes.create_company, _COMPANIES_WRITE),
    ("PUT", _COMPANY, legacy_writes.update_company, _COMPANIES_WRITE),
    ("DELETE", _COMPANY, legacy_writes.archive_company, _COMPANIES_WRITE),
    ("GET", f"{_COMPANY}/vids", legacy_writes.vids_of_company, _COMPANIES_READ),
    ("GET", f"{_COMPANY}/contacts", legacy_writes.contacts_of_company, _COMPANIES_READ),
    ("PUT", f"{_COMPANY}/contacts/{{vid}}", legacy_writes.add_contact, _COMPANIES_WRITE),
    ("DELETE", f"{_COMPANY}/contacts/{{vid}}", legacy_writes.remove_contact, _COMPANIES_WRITE),
    (
        "POST",
        "/companies/v2/domains/{domain}/companies",
        legacy_writes.companies_of_domain,
        _COMPANIES_READ,
    ),
    ("POST", "/{object}/v1/batch-async/update", legacy_writes.update_many, "write"),
    ("POST", _DEALS, legacy_writes.create_deal, _DEALS_WRITE),
    ("PUT", _DEAL, legacy_writes.update_deal, _DEALS_WRITE),
    ("DELETE", _DEAL, legacy_writes.archive_deal, _DEALS_WRITE),
    (
        "GET",
        f"{_DEALS}/associated/{{kind}}/{{record_id}}/paged",
        legacy_writes.deals_of,
        _DEALS_READ,
    ),
    ("PUT", f"{_DEAL}/associations/{{kind}}", legacy_writes.link_deal, _DEALS_WRITE),
    ("DELETE", f"{_DEAL}/associations/{{kind}}", legacy_writes.unlink_deal, _DEALS_WRITE),
    ("PUT", _LINKS, legacy_writes.link, _CONTACTS_WRITE),
    ("PUT", f"{_LINKS}/create-batch", legacy_writes.link, _CONTACTS_WRITE),
    ("PUT", f"{_LINKS}/delete", legacy_writes.unlink, _CONTACTS_WRITE),
    ("PUT", f"{_LINKS}/delete-batch", legacy_writes.unlink, _CONTACTS_WRITE),
    (
        "GET",
        f"{_LINKS}/{{record_id}}/HUBSPOT_DEFINED/{{definition}}",
        legacy_writes.linked,
        _CONTACTS_READ,
    ),
    ("GET", "/owners/v2/owners", users.owners_2, "crm.objects.owners.read"),
    ("GET", "/owners/v2/owners/{owner_id}", users.owner_2, "crm.objects.owners.read"),
    ("GET", f"{_COMPANIES}/paged", legacy.companies, _COMPANIES_READ),
    ("GET", f"{_COMPANIES}/recent/modified", legacy.recent_companies, _COMPANIES_READ),
    ("GET", f"{_COMPANIES}/recent/created", legacy.new_companies, _COMPANIES_READ),
    ("GET", f"{_COMPANIES}/{{record_id}}", legacy.company, _COMPANIES_READ),
    ("GET", f"{_DEALS}/paged", legacy.deals, _DEALS_READ),
    ("GET", f"{_DEALS}/recent/modified", legacy.recent_deals, _DEALS_READ),
    ("GET", f"{_DEALS}/recent/created", legacy.new_deals, _DEALS_READ),
    ("GET", f"{_DEALS}/{{record_id}}", legacy.deal, _DEALS_READ),
    ("GET", "/deals/v1/pipelines", legacy_catalog.deal_pipelines, "crm.schemas.deals.read"),
    ("GET", "/crm-pipelines/v1/pipelines/{object}", legacy_catalog.pipelines, "read"),
    ("GET", f"{_ENGAGEMENTS}/paged", legacy_engagements.everything, _CONTACTS_READ),
    ("GET", f"{_ENGAGEMENTS}/recent/modified", legacy_engagements.recent, _CONTACTS_READ),
    ("GET", f"{_ENGAGEMENTS}/modified/after", legacy_engagements.modified_after, _CONTACTS_READ),
    (
        "GET",
        f"{_ENGAGEMENTS}/associated/{{object}}/{{record_id}}/paged",
        legacy_engagements.of_record,
        _CONTACTS_READ,
    ),
    ("POST", _ENGAGEMENTS, legacy_engagements.create, _CONTACTS_WRITE),
    ("GET", f"{_ENGAGEMENTS}/{{record_id}}", legacy_engagements.one, _CONTACTS_READ),
    ("PUT", f"{_ENGAGEMENTS}/{{record_id}}", legacy_engagements.change, _CONTACTS_WRITE),
    ("PATCH", f"{_ENGAGEMENTS}/{{record_id}}", legacy_engagements.change, _CONTACTS_WRITE),
    ("DELETE", f"{_ENGAGEMENTS}/{{record_id}}", legacy_engagements.archive, _CONTACTS_WRITE),
    ("GET", f"{_MAILINGS}/campaigns", legacy_marketing.campaigns, "content"),
    ("GET", f"{_MAILINGS}/campaigns/by-id", legacy_marketing.campaigns, "content"),
    ("GET", f"{_MAILINGS}/campaigns/{{campaign_id}}", legacy_marketing.campaign, "content"),
    ("GET", f"{_MAILINGS}/subscriptions", legacy_marketing.subscriptions, "content"),
    ("GET", f"{_MAILINGS}/subscriptions/timeline", legacy_marketing.timeline, "content"),
    ("GET", "/marketing-emails/v1/emails", legacy_marketing.mails, "content"),
    ("GET", "/marketing-emails/v1/emails/with-statistics", legacy_marketing.mails, "content"),
    ("GET", "/forms/v2/forms", legacy_marketing.forms, "forms"),
    ("GET", "/automation/v3/workflows", legacy_marketing.workflows, "automation"),
    *_catalog("/properties/{version}/{object}"),
    *_catalog("/{object}/v1"),
    *_catalog("/{object}/v2"),
)
"""The roots of the catalog that begin with an object come last: they fit much."""
