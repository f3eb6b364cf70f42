-- The answer of mappings/lifecycle.yaml, written by hand for DuckDB and for this one definition: what the engine
-- is measured against. Reads world.people, world.field_since, world.events; makes lifecycle and stage_history.
-- Instants are microseconds; never is 9e18. Statements are split at semicolons at the end of a line.

create macro never() as 9000000000000000000;
create macro now() as epoch_us(timestamp '$as_of');
create macro days(n) as n * 86400000000;
create macro instant(us) as make_timestamp(nullif(us, never()));
create macro said(what, us) as what || ' on ' || strftime(make_timestamp(us), '%Y-%m-%d');
create macro clean(text) as nullif(lower(regexp_replace(text, '^[ \t\r\n]+|[ \t\r\n]+$$', '', 'g')), '');
create macro since_if(holds, us) as case when holds and us <= now() then us else never() end;

create table kinds as
select unnest(range(len(names)))::tinyint as kind, unnest(names) as name
from (select [
    'page_view', 'newsletter_signup', 'white_paper', 'webinar_registered', 'webinar_attended', 'account_created',
    'form_submitted', 'detailed_form', 'demo_request', 'quote_request', 'campaign_response', 'email_open',
    'email_click', 'email_reply', 'call_inbound', 'call_connected', 'meeting_booked', 'meeting_held',
    'call_attempted', 'email_sent', 'meeting_missed', 'email_bounced', 'unsubscribed', 'opportunity_opened',
    'opportunity_lost', 'deal_won'] as names);

alter table kinds add column points double;
alter table kinds add column channel tinyint;
update kinds set points = [1, 5, 8, 6, 12, 15, 5, 20, 40, 40, 8, 1, 3, 25, 30, 25, 20, 35, 0, 0, -5, 0, -20, 20, -20, 0][kind + 1];
-- of activity only: 0 web, 1 email, 2 event, 3 product, 4 phone, 5 meeting, 6 sales
update kinds set channel = [0, 1, 0, 2, 2, 3, 0, 0, 0, 0, 2, null, 1, 1, 4, 4, 5, 5, null, null, null, null, null, 6, null, null][kind + 1];

create table facts as
with dated as (
    select
        person_id,
        max(since) filter (where field = 'industry') as industry,
        max(since) filter (where field = 'employees') as employees,
        max(since) filter (where field = 'seniority') as seniority,
        max(since) filter (where field = 'is_free_mail') as is_free_mail,
        max(since) filter (where field = 'budget') as budget,
        max(since) filter (where field = 'authority') as authority,
        max(since) filter (where field = 'need') as need,
        max(since) filter (where field = 'timeline') as timeline,
        max(since) filter (where field = 'lead_status') as lead_status,
        max(since) filter (where field = 'bounced') as bounced,
        max(since) filter (where field = 'email') as email,
        max(since) filter (where field = 'opted_out') as opted_out
    from (select person_id, field, epoch_us(since) as since from world.field_since)
    group by person_id
),
known as (
    select *, epoch_us(created_at) as created, clean(industry) as industry_, clean(seniority) as seniority_
    from world.people
    where created_at <= timestamp '$as_of'
)
select
    row_number() over () - 1 as who,
    person_id,
    created,
    since_if(industry_ in ('software', 'computer software', 'information technology', 'finance', 'financial services', 'banking'), coalesce(d.industry, created)) as fit_0,
    since_if(k.employees >= 50, coalesce(d.employees, created)) as fit_1,
    since_if(k.employees >= 500, coalesce(d.employees, created)) as fit_2,
    since_if(seniority_ in ('c_level', 'vp', 'director', 'head'), coalesce(d.seniority, created)) as fit_3,
    since_if(k.is_free_mail, coalesce(d.is_free_mail, created)) as fit_4,
    since_if(k.budget >= 5000, coalesce(d.budget, created)) as has_budget,
    least(
        since_if(clean(k.authority) in ('decision maker', 'budget holder', 'executive sponsor'), coalesce(d.authority, created)),
        since_if(seniority_ in ('c_level', 'vp'), coalesce(d.seniority, created))) as has_authority,
    since_if(clean(k.need) is not null, coalesce(d.need, created)) as has_need,
    since_if(k.timeline is not null, coalesce(d.timeline, created)) as has_timeline,
    greatest(created, least(
        since_if(clean(k.lead_status) in ('unqualified', 'disqualified'), coalesce(d.lead_status, created)),
        since_if(k.bounced, coalesce(d.bounced, created)))) as disqualified,
    since_if(clean(k.email) is not null, coalesce(d.email, created)) < never()
        and since_if(k.opted_out is distinct from true, coalesce(d.opted_out, created)) < never()
        and since_if(k.bounced is distinct from true, coalesce(d.bounced, created)) < never() as contactable
from known as k
left join dated as d using (person_id);

create table counted as
select f.who, epoch_us(e."at") as t, k.kind
from world.events as e
join kinds as k on e.kind = k.name
join facts as f using (person_id)
where e.duplicate_of is null and e."at" <= timestamp '$as_of';

create table cycles as
with won as (select who, min(t) as final from counted where kind = 25 group by who),
shown as (
    select who, t, lag(t) over (partition by who order by t) as before
    from counted
    where kind not in (11, 18, 19, 20, 21, 22, 24, 25)
),
latest as (select who, max(t) as latest from shown group by who),
pieces as (
    select
        who,
        row_number() over w as cycle,
        t as first,
        coalesce(lead(before) over w, latest) as last
    from shown
    join latest using (who)
    where before is null or t - before > days(120)
    window w as (partition by who order by t)
),
numbered as (
    select
        p.who, f.created, p.cycle, p.first, p.last,
        case when p.cycle = 1 and p.first - f.created <= days(120) then f.created else p.first end as start
    from pieces as p
    join facts as f using (who)
),
all_cycles as (
    from numbered
    union all by name
    select who, created, 0 as cycle, never() as first, created as last, created as start
    from facts
    anti join (from numbered where start = created) using (who)
)
select
    c.who, c.created, c.cycle, c.start, c.first, c.last,
    coalesce(won.final, never()) as final,
    lead(c.start, 1, never()) over (partition by c.who order by c.cycle) as next_start
from all_cycles as c
left join won using (who)
where c.start <= coalesce(won.final, never());

create table admitted as
with limited as (
    select who, t, kind from counted where kind not in (0, 11, 12)
    union all
    select who, t, kind
    from counted
    where kind in (0, 11, 12)
    qualify row_number() over (partition by who, kind, t - t % days(1) order by t)
        <= case kind when 0 then 3 when 11 then 1 else 2 end
)
select l.who, l.t, l.kind, case when l.t <= c.last + days(120) then c.cycle end as cycle
from limited as l
join cycles as c on l.who = c.who and l.t >= c.start and l.t < c.next_start;

create table leaves as
with inside as (from admitted where cycle is not null),
firsts as (
    select
        who, cycle,
        min(t) filter (where kind in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)) as identity,
        min(t) filter (where kind in (13, 14, 15, 16, 17)) as talk,
        min(t) filter (where kind = 7) as detailed,
        min(t) filter (where kind in (8, 9, 23)) as direct,
        min(t) filter (where kind in (13, 14, 15, 17)) as answer
    from inside
    where kind between 1 and 10 or kind between 13 and 17 or kind = 23
    group by who, cycle
),
visits as (
    select who, cycle, min(t) as visits
    from (select who, cycle, t, lag(t, 4) over (partition by who, cycle order by t) as before from inside where kind = 0)
    where t - before < days(30)
    group by who, cycle
),
seen as (select who, cycle, t, channel from inside join kinds using (kind) where channel is not null),
third as (
    select who, cycle, t, min(t) over (partition by who, cycle order by t) as begin
    from (select who, cycle, channel, min(t) as t from seen group by who, cycle, channel)
    qualify row_number() over (partition by who, cycle order by t) = 3
),
swept as (
    select who, cycle, t, bit_or(1::int << channel::int) over (
        partition by who, cycle order by t range between days(30) - 1 preceding and current row) as channels
    from seen
    semi join (from third where t - begin >= days(30)) using (who, cycle)
),
channels as (
    select who, cycle, t as channels from third where t - begin < days(30)
    union all
    select who, cycle, min(t) from swept where bit_count(channels) >= 3 group by who, cycle
),
moments as (
    select who, cycle, t, points * power(2.0::double, (t - now()) / days(30)::double) as worth, 0.0::double as fit
    from admitted
    join kinds using (kind)
    union all
    select
        who, cycle, start, 0.0,
        case when start = c.created then
            case when fit_0 <= c.created then 15 else 0 end + case when fit_1 <= c.created then 15 else 0 end
            + case when fit_2 <= c.created then 10 else 0 end + case when fit_3 <= c.created then 10 else 0 end
            - case when fit_4 <= c.created then 10 else 0 end
        else 0 end
    from cycles as c
    join facts using (who)
    union all
    select d.who, c.cycle, d.t, 0.0, d.fit
    from (
        select who, created, unnest([fit_0, fit_1, fit_2, fit_3, fit_4]) as t, unnest([15, 15, 10, 10, -10]) as fit
        from facts
        where fit_0 between created + 1 and now() or fit_1 between created + 1 and now() or fit_2 between created + 1 and now()
            or fit_3 between created + 1 and now() or fit_4 between created + 1 and now()
    ) as d
    join cycles as c on d.who = c.who and d.t >= c.start and d.t < c.next_start
    where d.t > d.created and d.t < never()
),
scores as (
    select who, cycle, min(t) as score
    from (
        select who, cycle, t, sum(worth) over w / power(2.0::double, (t - now()) / days(30)::double) + sum(fit) over w as total
        from moments
        window w as (partition by who order by t range between unbounded preceding and current row)
    )
    where round(total, 6) >= 50 and cycle is not null
    group by who, cycle
)
select
    who, cycle, start, next_start, created, final,
    coalesce(identity, never()) as identity,
    coalesce(talk, never()) as talk,
    coalesce(visits, never()) as visits,
    coalesce(detailed, never()) as detailed,
    coalesce(direct, never()) as direct,
    coalesce(answer, never()) as answer,
    coalesce(channels, never()) as channels,
    coalesce(score, never()) as score
from cycles
left join firsts using (who, cycle)
left join visits using (who, cycle)
left join channels using (who, cycle)
left join scores using (who, cycle);

create table ruled as
with asked as (
    select
        l.*,
        greatest(start, list_sort([has_budget, has_authority, has_need, has_timeline])[2]) as qualified,
        least(identity, talk, visits) as lead,
        least(score, channels, detailed) as interest
    from leaves as l
    join facts using (who)
),
first_lead as (
    select who, min(cycle) as first_lead
    from asked
    where least(lead, direct, case when next_start = never() then final else never() end) < never()
    group by who
),
remembering as (select *, coalesce(cycle > first_lead, false) as knows_lead from asked left join first_lead using (who)),
interested as (select *, greatest(case when knows_lead then start else lead end, interest) as mql from remembering),
demanding as (
    select
        *,
        greatest(mql, answer) as answered,
        case when greatest(mql, qualified) < next_start then greatest(mql, qualified) else never() end as by_criteria
    from interested
)
select
    * exclude (created, first_lead, interest),
    start = created as is_first,
    least(direct, answered, by_criteria) as sql,
    case when next_start = never() then final else never() end as customer
from demanding;

create table entries as
select who, cycle, 0 as rank, start as t, false as by_final from ruled where is_first
union all
select who, cycle, 1, least(lead, mql, sql, customer), customer < least(lead, mql, sql) from ruled where least(lead, mql, sql, customer) < never()
union all
select who, cycle, 2, least(mql, sql, customer), customer < least(mql, sql) from ruled where least(mql, sql, customer) < never()
union all
select who, cycle, 3, least(sql, customer), customer < sql from ruled where least(sql, customer) < never()
union all
select who, cycle, 4, customer, true from ruled where customer < never();

create table lapses as
with above as (from entries where rank > 1),
parts as (
    select who, first as begin, last as end, -1 as rank from cycles semi join above using (who) where first < never()
    union all
    select who, t, t, rank from above
),
marked as (
    select *, begin - max("end") over (
        partition by who order by begin, "end", rank rows between unbounded preceding and 1 preceding) as silence
    from parts
),
islands as (
    select *, count(*) filter (where silence is null or silence > days(120)) over (
        partition by who order by begin, "end", rank rows between unbounded preceding and current row) as island
    from marked
),
fallen as (
    select who, max("end") + days(120) as t, max(rank) as rank from islands group by who, island having max(rank) > 1
)
select f.who, f.t, f.rank, max(c.cycle) as cycle
from fallen as f
join cycles as c on f.who = c.who and c.start <= f.t
where f.t <= now() and f.t < c.final
group by f.who, f.t, f.rank;

create table standing as
with falls as (select who, max(t) as recycled_at, arg_max(rank, t) as fell_from from lapses group by who),
tops as (
    select
        who,
        max(rank) as furthest,
        max(rank) filter (where recycled_at is null or t > recycled_at) as top,
        any_value(recycled_at) as recycled_at,
        any_value(fell_from) as fell_from,
        min(t) filter (where rank = 1) as lead_at,
        coalesce(max(t) filter (where rank = 2 and not by_final), max(t) filter (where rank = 2)) as mql_at,
        coalesce(max(t) filter (where rank = 3 and not by_final), max(t) filter (where rank = 3)) as sql_at,
        max(t) filter (where rank = 4) as customer_at
    from entries
    left join falls using (who)
    group by who
),
lives as (select who, max(cycle) as cycle, max(start) as last_start from cycles group by who),
placed as (
    select *, recycled_at is not null and coalesce(top, -1) <= 1 as is_recycled from tops join lives using (who)
),
risen as (
    select p.who, min(e.t) as since, arg_min(e.cycle, e.t) as entry_cycle
    from placed as p
    join entries as e on p.who = e.who and p.top = e.rank
    where not p.is_recycled and (p.recycled_at is null or e.t > p.recycled_at)
    group by p.who
)
select
    p.* exclude (top, last_start),
    case when is_recycled then 1 else top end as rank,
    case when is_recycled then recycled_at else since end as since,
    entry_cycle,
    is_recycled and last_start <= recycled_at as is_quiet
from placed as p
left join risen using (who);

create table reasons as
with risen as (
    select r.*, s.rank, f.has_budget, f.fit_0
    from standing as s
    join ruled as r on s.who = r.who and s.entry_cycle = r.cycle
    join facts as f on s.who = f.who
    where s.rank > 0
),
ways as (
    select
        *,
        rank = 4 as by_deal,
        rank = 3 and direct <= answered and direct <= by_criteria as by_request,
        rank = 3 and answered < direct and answered <= by_criteria as by_answer,
        rank = 3 and by_criteria < direct and by_criteria < answered as by_bant
    from risen
),
steps as (
    select
        *,
        rank = 2 or by_answer or by_bant as with_mql,
        (rank = 1 or ((rank = 2 or by_answer or by_bant) and not knows_lead)) as with_lead
    from ways
),
told as (
    select who, unnest([
        case when with_lead then
            case
                when identity <= talk and identity <= visits then {'t': identity, 'place': 0, 'text': null}
                when talk <= visits then {'t': talk, 'place': 1, 'text': null}
                else {'t': visits, 'place': 2, 'text': '5 page_view within 30 days'}
            end
        end,
        case when with_mql then
            case
                when score <= channels and score <= detailed then {'t': score, 'place': 3, 'text': 'score total >= 50'}
                when channels <= detailed then {'t': channels, 'place': 4, 'text': '3 channels within 30 days'}
                else {'t': detailed, 'place': 5, 'text': 'detailed_form'}
            end
        end,
        case when by_request then {'t': direct, 'place': 6, 'text': null} end,
        case when by_answer then {'t': answer, 'place': 7, 'text': null} end,
        case when by_bant then {'t': qualified, 'place': 8, 'text': '2 of BANT'} end,
        case when by_deal then {'t': final, 'place': 9, 'text': 'deal_won'} end
    ], recursive := true)
    from steps
),
parts as (from told where t is not null),
choices(place, kinds) as (
    values (0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), (1, [13, 14, 15, 16, 17]), (6, [8, 9, 23]), (7, [13, 14, 15, 17])
),
named as (
    select p.who, p.t, p.place, k.name as text
    from (
        select p.who, p.t, p.place, min(a.kind) as kind
        from parts as p
        join choices as c using (place)
        join admitted as a on p.who = a.who and p.t = a.t and list_contains(c.kinds, a.kind)
        where p.text is null
        group by p.who, p.t, p.place
    ) as p
    join kinds as k using (kind)
),
once as (
    select who, t, text, min(place) as place
    from (select who, t, place, text from parts where text is not null union all select who, t, place, text from named)
    group by who, t, text
)
select who, string_agg(said(text, t), '; ' order by t, place) as reasons
from once
group by who;

create table lifecycle as
with worth as (
    select who, round(sum(points * power(2.0::double, (t - now()) / days(30)::double)), 6) as engagement
    from admitted
    join kinds using (kind)
    group by who
),
deeds as (
    select
        who,
        max(t) filter (where kind not in (11, 18, 19, 20, 21, 22, 24, 25)) as active,
        max(t) filter (where kind in (14, 15, 16, 17, 18, 19)) as reached,
        max(t) filter (where kind in (15, 16, 17, 18, 19)) as answered
    from counted
    group by who
),
touched as (
    select who, count(*) as touches
    from counted
    join deeds using (who)
    where kind in (18, 19) and t > now() - days(30) and (active is null or t > active)
    group by who
),
gathered as (
    select
        f.*,
        s.* exclude (who),
        coalesce(w.engagement, 0) as engagement,
        coalesce(t.touches, 0) as touches,
        d.reached,
        d.answered,
        r.reasons,
        (case when fit_0 < never() then 15.0::double else 0 end + case when fit_1 < never() then 15 else 0 end
            + case when fit_2 < never() then 10 else 0 end + case when fit_3 < never() then 10 else 0 end
            - case when fit_4 < never() then 10 else 0 end) as fit,
        ['suspect', 'lead', 'mql', 'sql', 'customer'] as stages
    from facts as f
    join standing as s on f.who = s.who
    left join worth as w on f.who = w.who
    left join deeds as d on f.who = d.who
    left join touched as t on f.who = t.who
    left join reasons as r on f.who = r.who
),
judged as (
    select
        *,
        stages[rank + 1] as stage,
        case when rank = 4 then 'won' when disqualified < never() then 'disqualified' when is_quiet then 'recycled' else 'open' end as status,
        case when touches >= 8 then 'stop' when touches >= 5 then 'high' else 'ok' end as pressure
    from gathered
),
acted as (
    select
        *,
        case
            when status in ('won', 'disqualified') or not contactable then 'none'
            when pressure = 'stop' then 'pause'
            when status = 'recycled' then 'nurture'
            else ['nurture', 'nurture', 'qualify', 'call', 'none'][rank + 1]
        end as next_action
    from judged
)
select
    person_id,
    stage,
    status,
    case when status in ('recycled', 'disqualified') then status else stage end as standing,
    instant(since) as stage_since,
    instant(lead_at) as lead_at,
    instant(mql_at) as mql_at,
    instant(sql_at) as sql_at,
    instant(customer_at) as customer_at,
    instant(recycled_at) as recycled_at,
    instant(disqualified) as disqualified_at,
    stages[furthest + 1] as furthest_stage,
    cycle,
    round((engagement + fit)::decimal(18, 6), 2)::double as score,
    round(engagement::decimal(18, 6), 2)::double as engagement,
    fit,
    case when fit >= 30 then 'A' when fit >= 15 then 'B' when fit >= 1 then 'C' else 'D' end as grade,
    (has_budget < never())::int + (has_authority < never())::int + (has_need < never())::int + (has_timeline < never())::int as qualified,
    touches,
    pressure,
    contactable,
    next_action,
    case
        when next_action in ('none', 'pause') or status = 'recycled' then null
        when rank = 2 and coalesce(reached < since, true) then instant(since + days(3))
        when rank = 3 and coalesce(answered < since, true) then instant(since + days(1))
    end as follow_up_due,
    case
        when is_recycled then said('recycled from ' || stages[fell_from + 1], recycled_at)
        else coalesce(reasons, '')
    end as reasons,
    '$definition_id' as definition_id,
    timestamp '$as_of' as as_of
from acted;

create table stage_history as
select f.person_id, h.cycle, h.stage, instant(h.t) as entered_at
from (
    select who, cycle, ['suspect', 'lead', 'mql', 'sql', 'customer'][rank + 1] as stage, t from entries
    union all
    select who, cycle, 'recycled', t from lapses
) as h
join facts as f using (who);
