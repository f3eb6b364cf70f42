"""A believable world for measuring, made inside DuckDB from a seed: people, field_since, events.

Most people do little and a few do much; what they do comes in episodes of some weeks, so that
there are cycles, silences and recyclings; what is common (page views, opened mails) outnumbers what
matters (demo requests, won deals) by hundreds.
"""

import duckdb

SEED = 20260301
AS_OF = "2026-03-01 09:30:00"
"""The instant at which the benchmark asks where everybody stands."""

KINDS = {
    "page_view": 300,
    "email_sent": 204,
    "email_open": 170,
    "email_click": 60,
    "newsletter_signup": 18,
    "white_paper": 26,
    "webinar_registered": 16,
    "webinar_attended": 10,
    "account_created": 4,
    "form_submitted": 20,
    "detailed_form": 5,
    "demo_request": 5,
    "quote_request": 2,
    "campaign_response": 24,
    "email_reply": 16,
    "call_inbound": 4,
    "call_connected": 14,
    "meeting_booked": 6,
    "meeting_held": 5,
    "call_attempted": 46,
    "meeting_missed": 2,
    "email_bounced": 8,
    "unsubscribed": 4,
    "opportunity_opened": 4,
    "opportunity_lost": 2,
    "deal_won": 1,
    "fax_received": 12,
}
"""How often each kind happens, of about a thousand events; the last is in no definition."""

PEOPLE = """
create or replace table people as
with drawn as (
    select i, {h0} as h, {h1} as g
    from range({people}) as t(i)
)
select
    case when h % 3 = 0 then 'salesforce:Lead:00Q' else 'hubspot:contacts:' end
        || lpad((i * 7919 % 100000007)::varchar, 9, '0') as person_id,
    timestamp '2023-03-01' + to_microseconds(h % 94608000000000) as created_at,
    case when h % 50 <> 1 then 'person' || i || '@example.com' end as email,
    ['Software', 'finance', 'Retail', ' Banking', 'health', 'construction', null][1 + h // 7 % 7]
        as industry,
    case when g % 4 > 0 then power(10, (g % 4001) / 1000.0)::bigint end as employees,
    ['c_level', 'vp', 'director', 'head', 'manager', 'staff', null, null][1 + g // 11 % 8]
        as seniority,
    case when g // 13 % 5 = 0 then (g // 17 % 20000)::double end as budget,
    case when g // 19 % 6 = 0 then 'Decision maker' end as authority,
    case when g // 23 % 7 = 0 then 'replace a spreadsheet' end as need,
    case when g // 29 % 9 = 0 then date '2026-06-30' end as timeline,
    ['New', 'Working', 'Unqualified', null, null, null][1 + h // 31 % 6] as lead_status,
    h // 37 % 60 = 0 as bounced,
    h // 41 % 25 = 0 as opted_out,
    h // 43 % 4 = 0 as is_free_mail
from drawn
"""

FIELD_SINCE = """
create or replace table field_since as
select person_id, field, since
from (
    select
        person_id,
        unnest(['budget', 'lead_status', 'industry']) as field,
        created_at + to_days((hash(person_id) % 300)::int) as since
    from people
)
where hash(person_id, field) % 4 = 0
"""

EVENTS = """
create or replace table events as
with weights(kind, upto) as (values {weights}),
kinds as (select list(kind order by upto) as kind, list(upto order by upto) as upto from weights),
drawn as (
    select
        i,
        {h2} as h,
        {h3} as g,
        -- the square makes a few people do much; a fifth did nothing yet
        floor(0.8 * {people} * power((hash(i, {seed} + 4) % 1000000007) / 1000000007.0, 2))::bigint
            as nth
    from range({events}) as t(i)
),
-- what an episode is about lasts some weeks, with less and less happening
placed as (
    select
        *,
        h % (1 + nth % 3) as episode,
        -ln(1 - (g % 1000003) / 1000003.0) * 12 as days_in
    from drawn
),
numbered as (
    select person_id, created_at, row_number() over () - 1 as nth from people
)
select
    'e' || i as event_id,
    case when h % 400 <> 3 then person_id end as person_id,
    list_extract(kinds.kind, 1 + len(list_filter(kinds.upto, u -> u <= (h // 97 % {total})::int)))
        as kind,
    created_at
        + episode * (0.15 + hash(nth, episode) % 100 / 600.0) * (timestamp '{as_of}' - created_at)
        + to_microseconds((days_in * 86400000000)::bigint) as at,
    case when h % 30 = 7 then 'e' || (i + 1) end as duplicate_of
from placed
join numbered using (nth)
cross join kinds
"""


def build(path: str, *, people: int, events: int) -> None:
    """Write the three tables into a new DuckDB file."""
    upto, weights = 0, []
    for kind, weight in KINDS.items():
        upto += weight
        weights.append(f"('{kind}', {upto})")
    given = {
        "seed": SEED,
        "people": people,
        "events": events,
        "weights": ", ".join(weights),
        "total": upto,
        "as_of": AS_OF,
        # signed: what is taken from it by % is an index or a length
        **{f"h{n}": f"(hash(i, {SEED + n}) >> 1)::bigint" for n in range(4)},
    }
    with duckdb.connect(path) as con:
        con.execute("set preserve_insertion_order = true")
        con.execute(PEOPLE.format(**given))
        con.execute(FIELD_SINCE.format(**given))
        con.execute(EVENTS.format(**given))
