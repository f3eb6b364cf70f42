"""Small files of a configuration that fit together; a test changes a word of one of them."""

from pathlib import Path

LIFECYCLE = """\
version: "1"
events:
  visit: {points: 1, channel: web, max_per_day: 3}
  demo:  {points: 40, channel: web}
  call:  {channel: phone, direction: two_way}
  mail:  {channel: email, direction: outbound}
  won:   {direction: internal}
score:
  half_life_days: 30
  fit:
    - {points: 20, when: {field: employees, gte: 50}}
qualification:
  criteria:
    budget: {field: industry, known: true}
stages:
  - {id: suspect, action: nurture}
  - id: lead
    action: nurture
    enter: {event: [visit, demo]}
  - id: sql
    action: call
    follow_up: {within_hours: 24, by: mail}
    enter:
      any:
        - {event: demo}
        - {score: total, gte: 50}
        - all: [{stage: lead}, {event: call}]
  - {id: customer, final: true, enter: {event: won}}
recycled: {to: lead, after_inactive_days: 120}
disqualified: {field: bounced, is: true}
"""

PEOPLE = """\
fields:
  email:     text
  industry:  {survivorship: [salesforce, hubspot]}
  employees: integer
  bounced:   {type: boolean, survivorship: most_restrictive}
"""

HUBSPOT = """\
system_fields: {id: id, created_at: createdAt, updated_at: updatedAt, deleted: archived}
records:
  contacts:
    fields:
      email:     email
      employees: {field: numberofemployees}
      industry:  industry
      bounced:   {field: hs_email_bounce, gte: 1}
links:
  salesforceleadid: salesforce.Lead
objects:
  emails: {person_keys: {associated_contacts: contacts}}
  visits: {person_keys: {email: email}}
events:
  - {object: emails, where: {hs_email_status: SENT}, kind: mail, at: hs_timestamp}
  - {object: visits, kind: visit, at: occurredAt}
write:
  contacts:
    lifecyclestage:
      {from: stage, backward: never,
       values: {suspect: subscriber, lead: lead, sql: salesqualifiedlead, customer: customer}}
    our_score: {from: score, min_change: 5}
"""

SALESFORCE = """\
system_fields: {id: Id, created_at: CreatedDate, updated_at: SystemModstamp, deleted: IsDeleted}
records:
  Lead:
    fields: {email: Email, industry: Company.Industry}
    history: {object: LeadHistory, record: LeadId, field: Field, at: CreatedDate, value: NewValue, before: OldValue, optional: true}
objects:
  Lead: {parents: {Company: Account}}
  Task: {person_keys: {WhoId: Lead}}
  Deal: {person_keys: {LeadId: Lead}, optional: true}
events:
  - {object: Task, where: {Type: Demo}, kind: demo, at: ActivityDate}
  - {object: Task, where: {Outcome__c: Reached}, kind: call, at: ActivityDate, optional: true}
  - {object: Task, ignore: true}
  - {object: Deal, kind: won, at: CloseDate}
write:
  Lead:
    Standing__c: {from: standing, optional: true}
"""  # noqa: E501  (the tests name its lines by their numbers)

CONFIG_TEXTS = {
    "lifecycle": LIFECYCLE,
    "people": PEOPLE,
    "hubspot": HUBSPOT,
    "salesforce": SALESFORCE,
}

Replacement = tuple[str, str, str]
"""A file, a text in it, and the text that replaces it."""


def config_texts(*changes: Replacement) -> dict[str, str]:
    """The files with some words changed."""
    changed = dict(CONFIG_TEXTS)
    for file, before, after in changes:
        assert changed[file].count(before) == 1, f"{before!r} must occur once in {file}"
        changed[file] = changed[file].replace(before, after)
    return changed


def config_folder(path: Path, *changes: Replacement) -> Path:
    """A folder that holds the files."""
    for name, text in config_texts(*changes).items():
        (path / f"{name}.yaml").write_text(text, encoding="utf-8")
    return path
