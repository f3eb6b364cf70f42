"""The routes of HubSpot's older APIs."""

from typing import Final

from sandbox.hubspot import account, users
from sandbox.hubspot import catalog as todays_catalog
from sandbox.hubspot.request import Handler
from sandbox.hubspot.v1 import catalog, contacts, engagements, lists, marketing, records, writes

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
    """Return the routes of properties and property groups, which have several roots."""
    property, group = f"{root}/properties/named/{{name}}", f"{root}/groups/named/{{group}}"
    return (
        ("GET", f"{root}/properties", catalog.properties, "schemas"),
        ("POST", f"{root}/properties", catalog.create_property, "schemas"),
        ("GET", property, catalog.one_property, "schemas"),
        ("PUT", property, catalog.update_property, "schemas"),
        ("PATCH", property, catalog.update_property, "schemas"),
        ("DELETE", property, account.archive_property, "schemas"),
        ("GET", f"{root}/groups", catalog.groups, "schemas"),
        ("POST", f"{root}/groups", catalog.create_group, "schemas"),
        ("PUT", group, catalog.update_group, "schemas"),
        ("DELETE", group, todays_catalog.archive_group, "schemas"),
    )


V1_ROUTES: Final[tuple[_Row, ...]] = (
    ("POST", _CONTACT, contacts.create, _CONTACTS_WRITE),
    ("POST", f"{_CONTACT}/batch", contacts.write_many, _CONTACTS_WRITE),
    ("GET", f"{_CONTACT}/vids/batch", contacts.read_many, _CONTACTS_READ),
    ("GET", f"{_CONTACT}/emails/batch", contacts.read_many, _CONTACTS_READ),
    ("GET", f"{_CONTACT}/utk/{{token}}/profile", contacts.by_browser, _CONTACTS_READ),
    ("GET", f"{_CONTACT}/vid/{{vid}}/profile", contacts.read, _CONTACTS_READ),
    ("POST", f"{_CONTACT}/vid/{{vid}}/profile", contacts.update, _CONTACTS_WRITE),
    ("DELETE", f"{_CONTACT}/vid/{{vid}}", contacts.archive, _CONTACTS_WRITE),
    ("GET", f"{_CONTACT}/email/{{email}}/profile", contacts.read, _CONTACTS_READ),
    ("POST", f"{_CONTACT}/email/{{email}}/profile", contacts.update, _CONTACTS_WRITE),
    (
        "POST",
        f"{_CONTACT}/createOrUpdate/email/{{email}}",
        contacts.create_or_update,
        _CONTACTS_WRITE,
    ),
    ("POST", f"{_CONTACT}/merge-vids/{{vid}}", contacts.merge, _CONTACTS_WRITE),
    ("GET", "/contacts/v1/search/query", contacts.search, _CONTACTS_READ),
    ("GET", _LISTS, lists.list_all, _LISTS_READ),
    ("POST", _LISTS, lists.create, _LISTS_WRITE),
    ("GET", f"{_LISTS}/static", lists.static, _LISTS_READ),
    ("GET", f"{_LISTS}/dynamic", lists.dynamic, _LISTS_READ),
    ("GET", f"{_LISTS}/batch", lists.some, _LISTS_READ),
    ("GET", _LIST, lists.one, _LISTS_READ),
    ("POST", _LIST, lists.rename, _LISTS_WRITE),
    ("DELETE", _LIST, lists.remove, _LISTS_WRITE),
    ("POST", f"{_LIST}/refresh", lists.refresh, _LISTS_WRITE),
    ("POST", f"{_LIST}/add", lists.add, _LISTS_WRITE),
    ("POST", f"{_LIST}/remove", lists.take_off, _LISTS_WRITE),
    ("GET", f"{_LIST}/contacts/all", lists.contacts, _CONTACTS_READ),
    ("GET", f"{_LIST}/contacts/recent", lists.recent, _CONTACTS_READ),
    ("POST", _COMPANIES, writes.create_company, _COMPANIES_WRITE),
    ("PUT", _COMPANY, writes.update_company, _COMPANIES_WRITE),
    ("DELETE", _COMPANY, writes.archive_company, _COMPANIES_WRITE),
    ("GET", f"{_COMPANY}/vids", writes.vids_of_company, _COMPANIES_READ),
    ("GET", f"{_COMPANY}/contacts", writes.contacts_of_company, _COMPANIES_READ),
    ("PUT", f"{_COMPANY}/contacts/{{vid}}", writes.add_contact, _COMPANIES_WRITE),
    ("DELETE", f"{_COMPANY}/contacts/{{vid}}", writes.remove_contact, _COMPANIES_WRITE),
    (
        "POST",
        "/companies/v2/domains/{domain}/companies",
        writes.companies_of_domain,
        _COMPANIES_READ,
    ),
    ("POST", "/{object}/v1/batch-async/update", writes.update_many, "write"),
    ("POST", _DEALS, writes.create_deal, _DEALS_WRITE),
    ("PUT", _DEAL, writes.update_deal, _DEALS_WRITE),
    ("DELETE", _DEAL, writes.archive_deal, _DEALS_WRITE),
    (
        "GET",
        f"{_DEALS}/associated/{{kind}}/{{record_id}}/paged",
        writes.deals_of,
        _DEALS_READ,
    ),
    ("PUT", f"{_DEAL}/associations/{{kind}}", writes.link_deal, _DEALS_WRITE),
    ("DELETE", f"{_DEAL}/associations/{{kind}}", writes.unlink_deal, _DEALS_WRITE),
    ("PUT", _LINKS, writes.link, _CONTACTS_WRITE),
    ("PUT", f"{_LINKS}/create-batch", writes.link, _CONTACTS_WRITE),
    ("PUT", f"{_LINKS}/delete", writes.unlink, _CONTACTS_WRITE),
    ("PUT", f"{_LINKS}/delete-batch", writes.unlink, _CONTACTS_WRITE),
    (
        "GET",
        f"{_LINKS}/{{record_id}}/HUBSPOT_DEFINED/{{definition}}",
        writes.linked,
        _CONTACTS_READ,
    ),
    ("GET", "/owners/v2/owners", users.owners_2, "crm.objects.owners.read"),
    ("GET", "/owners/v2/owners/{owner_id}", users.owner_2, "crm.objects.owners.read"),
    ("GET", f"{_COMPANIES}/paged", records.companies, _COMPANIES_READ),
    ("GET", f"{_COMPANIES}/recent/modified", records.recent_companies, _COMPANIES_READ),
    ("GET", f"{_COMPANIES}/recent/created", records.new_companies, _COMPANIES_READ),
    ("GET", f"{_COMPANIES}/{{record_id}}", records.company, _COMPANIES_READ),
    ("GET", f"{_DEALS}/paged", records.deals, _DEALS_READ),
    ("GET", f"{_DEALS}/recent/modified", records.recent_deals, _DEALS_READ),
    ("GET", f"{_DEALS}/recent/created", records.new_deals, _DEALS_READ),
    ("GET", f"{_DEALS}/{{record_id}}", records.deal, _DEALS_READ),
    ("GET", "/deals/v1/pipelines", catalog.deal_pipelines, "crm.schemas.deals.read"),
    ("GET", "/crm-pipelines/v1/pipelines/{object}", catalog.pipelines, "read"),
    ("GET", f"{_ENGAGEMENTS}/paged", engagements.list_all, _CONTACTS_READ),
    ("GET", f"{_ENGAGEMENTS}/recent/modified", engagements.recent, _CONTACTS_READ),
    ("GET", f"{_ENGAGEMENTS}/modified/after", engagements.modified_after, _CONTACTS_READ),
    (
        "GET",
        f"{_ENGAGEMENTS}/associated/{{object}}/{{record_id}}/paged",
        engagements.of_record,
        _CONTACTS_READ,
    ),
    ("POST", _ENGAGEMENTS, engagements.create, _CONTACTS_WRITE),
    ("GET", f"{_ENGAGEMENTS}/{{record_id}}", engagements.one, _CONTACTS_READ),
    ("PUT", f"{_ENGAGEMENTS}/{{record_id}}", engagements.change, _CONTACTS_WRITE),
    ("PATCH", f"{_ENGAGEMENTS}/{{record_id}}", engagements.change, _CONTACTS_WRITE),
    ("DELETE", f"{_ENGAGEMENTS}/{{record_id}}", engagements.archive, _CONTACTS_WRITE),
    ("GET", f"{_MAILINGS}/campaigns", marketing.campaigns, "content"),
    ("GET", f"{_MAILINGS}/campaigns/by-id", marketing.campaigns, "content"),
    ("GET", f"{_MAILINGS}/campaigns/{{campaign_id}}", marketing.campaign, "content"),
    ("GET", f"{_MAILINGS}/subscriptions", marketing.subscriptions, "content"),
    ("GET", f"{_MAILINGS}/subscriptions/timeline", marketing.timeline, "content"),
    ("GET", "/marketing-emails/v1/emails", marketing.mails, "content"),
    ("GET", "/marketing-emails/v1/emails/with-statistics", marketing.mails, "content"),
    ("GET", "/forms/v2/forms", marketing.forms, "forms"),
    ("GET", "/automation/v3/workflows", marketing.workflows, "automation"),
    *_catalog("/properties/{version}/{object}"),
    *_catalog("/{object}/v1"),
    *_catalog("/{object}/v2"),
)
"""Routes of the catalog that start with an object come last: they match many paths."""
