"""The events of a person over two years of B2B history.

A journey is a sequence of episodes: browsing, a download, a webinar, a direct request and its
follow-up, a deal. All people share the dates of mailings, webinars and fairs, so that activity has
peaks.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from sandbox.seed.activity_log import ActivityLog, truncate_to_milliseconds

HISTORY_DAYS: Final = 730
WEBINARS: Final = tuple(
    (f"Webinar {topic}", days_back)
    for topic, days_back in (
        ("One definition of a lead", 655),
        ("Revenue reporting", 560),
        ("Data quality", 470),
        ("Scoring that sales trusts", 385),
        ("Forecasting", 290),
        ("Handover without friction", 200),
        ("Attribution", 118),
        ("Lifecycle audit", 52),
        ("Year planning", 12),
    )
)
MAILINGS: Final = tuple((f"Mailing {number:02}", 715 - number * 58) for number in range(13))
FAIRS: Final = (
    ("Fair Hannover", 600),
    ("Fair Lyon", 415),
    ("Fair Chicago", 236),
    ("Fair Milano", 61),
)
PAPERS: Final = ("Buyer's guide", "Benchmark report", "ROI workbook", "Security white paper")
PAGES: Final = (
    "Home",
    "Pricing",
    "Product tour",
    "Customers",
    "Integrations",
    "Blog",
    "Security",
    "Docs",
)
ROBOT: Final = " (robot)"


def simulate(log: ActivityLog, archetype: str) -> None:
    """Add the events of one archetype (a key of `ARCHETYPES`)."""
    ARCHETYPES[archetype][1](log)


def random_created_at(rng: Random, now: datetime) -> datetime:
    """Draw the creation time of a person: any day, or within hours of a webinar or a fair."""
    if rng.random() < 0.3:
        _, days_back = rng.choice(WEBINARS + FAIRS)
        at = now - timedelta(days=days_back, hours=rng.uniform(-30, 48))
    else:
        at = now - timedelta(days=HISTORY_DAYS * rng.random() ** 1.15, seconds=rng.random() * 86400)
    return truncate_to_milliseconds(min(at, now - timedelta(hours=1)))


def _silent(log: ActivityLog) -> None:
    _mailings(log, receives=0.25, opens=0.1, clicks=0.0)
    if log.rng.random() < 0.25:
        _cold_outreach(log, log.created_at + timedelta(days=log.rng.uniform(1, 60)))


def _browser(log: ActivityLog) -> None:
    start = log.created_at
    _first_action(log, start)
    for _ in range(log.rng.randint(1, 3)):
        _visits(log, start, pages=log.rng.randint(1, 5))
        start += timedelta(days=log.rng.expovariate(1 / 25))
    _mailings(log, receives=0.7, opens=0.4, clicks=0.1)


def _engaged(log: ActivityLog) -> None:
    start = log.created_at
    _first_action(log, start)
    for _ in range(log.rng.randint(2, 5)):
        log.rng.choice((_download, _download, _account, _form))(log, start)
        _visits(log, start, pages=log.rng.randint(2, 7))
        start += timedelta(days=log.rng.expovariate(1 / 14))
    _webinars(log, joins=0.35)
    _fairs(log, comes=0.2)
    _mailings(log, receives=0.8, opens=0.6, clicks=0.25)


def _asking(log: ActivityLog) -> None:
    _engaged(log)
    asked_at = log.created_at + timedelta(days=log.rng.expovariate(1 / 40))
    _direct_request(log, asked_at)


def _buying(log: ActivityLog) -> None:
    _asking(log)
    opened_at = log.created_at + timedelta(days=20 + log.rng.expovariate(1 / 45))
    _deal(log, opened_at, won=True)


def _losing(log: ActivityLog) -> None:
    _asking(log)
    opened_at = log.created_at + timedelta(days=15 + log.rng.expovariate(1 / 45))
    _deal(log, opened_at, won=False)


def _returning(log: ActivityLog) -> None:
    """Engaged, then silent for five to eleven months, then active; some send a request."""
    start = log.created_at
    _first_action(log, start)
    _visits(log, start, pages=4)
    _download(log, start + timedelta(days=3))
    if log.rng.random() < 0.4:
        _direct_request(log, start + timedelta(days=8))
    back = start + timedelta(days=log.rng.uniform(150, 330))
    _visits(log, back, pages=6)
    _download(log, back + timedelta(days=1))
    if log.rng.random() < 0.5:
        _direct_request(log, back + timedelta(days=4))


def _cold(log: ActivityLog) -> None:
    """In Salesforce only: fairs and cold calls, some of them answered."""
    _fairs(log, comes=0.6)
    _cold_outreach(log, log.created_at + timedelta(days=log.rng.uniform(1, 30)))
    if log.rng.random() < 0.4:
        _follow_up(log, log.created_at + timedelta(days=log.rng.uniform(40, 200)))


ARCHETYPES: Final[dict[str, tuple[int, Callable[[ActivityLog], None]]]] = {
    "silent": (28, _silent),
    "browser": (24, _browser),
    "engaged": (18, _engaged),
    "asking": (11, _asking),
    "buying": (6, _buying),
    "losing": (4, _losing),
    "returning": (6, _returning),
    "cold": (3, _cold),
}


def _first_action(log: ActivityLog, at: datetime) -> None:
    kind, detail = log.rng.choice(
        (
            ("newsletter_signup", "Newsletter"),
            ("white_paper", log.rng.choice(PAPERS)),
            ("account_created", "Free account"),
            ("newsletter_signup", "Newsletter"),
        )
    )
    log.add(kind, at, detail)


def _visits(log: ActivityLog, start: datetime, *, pages: int) -> None:
    at = start + timedelta(hours=log.rng.uniform(-2, 60))
    for _ in range(pages):
        log.add("page_view", at, log.rng.choice(PAGES))
        at += timedelta(seconds=log.rng.expovariate(1 / 90))
        if log.rng.random() < 0.2:
            at += timedelta(days=log.rng.uniform(0.3, 9))


def _download(log: ActivityLog, start: datetime) -> None:
    log.add("white_paper", start + timedelta(hours=log.rng.uniform(0, 90)), log.rng.choice(PAPERS))


def _account(log: ActivityLog, start: datetime) -> None:
    log.add("account_created", start + timedelta(hours=log.rng.uniform(1, 120)), "Free account")


def _form(log: ActivityLog, start: datetime) -> None:
    log.add("detailed_form", start + timedelta(hours=log.rng.uniform(1, 120)), "Assessment")


def _webinars(log: ActivityLog, *, joins: float) -> None:
    for title, days_back in WEBINARS:
        held_at = log.now - timedelta(days=days_back) + timedelta(hours=15)
        if held_at < log.created_at or log.rng.random() > joins:
            continue
        log.add("webinar_registered", held_at - timedelta(hours=log.rng.uniform(1, 200)), title)
        if log.rng.random() < 0.6:
            log.add("webinar_attended", held_at + timedelta(seconds=log.rng.randint(0, 900)), title)


def _fairs(log: ActivityLog, *, comes: float) -> None:
    for title, days_back in FAIRS:
        if log.rng.random() < comes:
            at = log.now - timedelta(days=days_back) + timedelta(hours=log.rng.uniform(9, 17))
            log.add("campaign_response", at, title)


def _mailings(log: ActivityLog, *, receives: float, opens: float, clicks: float) -> None:
    if log.crms == "salesforce":
        return
    has_robot = (
        log.rng.random() < 0.12
    )  # a mail gateway that opens and clicks every link within seconds
    for title, days_back in MAILINGS:
        sent_at = (
            log.now
            - timedelta(days=days_back)
            + timedelta(hours=7, seconds=log.rng.randint(0, 1200))
        )
        if sent_at < log.created_at or log.rng.random() > receives:
            continue
        log.add("email_sent", sent_at, title, crm="hubspot", personal=False)
        if has_robot:
            log.add("email_open", sent_at + timedelta(seconds=1.5), title + ROBOT)
            log.add("email_click", sent_at + timedelta(seconds=2.1), title + ROBOT)
        if log.rng.random() < opens:
            opened_at = sent_at + timedelta(hours=log.rng.expovariate(1 / 9))
            log.add("email_open", opened_at, title)
            if log.rng.random() < clicks:
                log.add("email_click", opened_at + timedelta(seconds=log.rng.uniform(2, 90)), title)


def _cold_outreach(log: ActivityLog, start: datetime) -> None:
    for number in range(log.rng.randint(1, 4)):
        kind = log.rng.choice(("email_sent", "call_attempted"))
        log.add(kind, _office_hours(log.rng, start + timedelta(days=number * 3)), "Introduction")


def _direct_request(log: ActivityLog, at: datetime) -> None:
    kind, detail = log.rng.choice(
        (
            ("demo_request", "Demo"),
            ("demo_request", "Demo"),
            ("quote_request", "Quote"),
            ("detailed_form", "Assessment"),
        )
    )
    log.add(kind, at, detail)
    if log.rng.random() < 0.85:  # the others get no follow-up
        _follow_up(log, at)


def _follow_up(log: ActivityLog, asked_at: datetime) -> None:
    rng = log.rng
    at = _office_hours(rng, asked_at + timedelta(hours=rng.expovariate(1 / 20)))
    log.add("email_sent", at, "Your request")
    for _ in range(rng.randint(0, 3)):
        at = _office_hours(rng, at + timedelta(days=rng.uniform(0.5, 3)))
        log.add("call_attempted", at, "Follow-up call")
    if rng.random() < 0.6:
        log.add("email_reply", _office_hours(rng, at + timedelta(hours=20)), "Re: Your request")
    if rng.random() < 0.6:
        kind = rng.choice(("call_connected", "call_connected", "call_inbound"))
        log.add(kind, _office_hours(rng, at + timedelta(days=2)), "Qualification call")
    if rng.random() < 0.25:
        log.add(
            "note",
            at + timedelta(minutes=25),
            rng.choice(("Asked for references", "WhatsApp: sent the agenda")),
        )
    if rng.random() < 0.35:
        log.add("task", at + timedelta(minutes=30), "Send proposal")
    if rng.random() < 0.5:
        _meeting(log, at + timedelta(days=rng.uniform(1, 10)))


def _meeting(log: ActivityLog, at: datetime) -> None:
    held_at = _office_hours(log.rng, at).replace(minute=0, second=0, microsecond=0)
    if log.rng.random() < 0.5:
        log.add(
            "meeting_booked", held_at - timedelta(days=log.rng.uniform(0.5, 6)), "Intro meeting"
        )
    log.add(
        "meeting_held" if log.rng.random() < 0.75 else "meeting_no_show", held_at, "Intro meeting"
    )


def _deal(log: ActivityLog, opened_at: datetime, *, won: bool) -> None:
    rng = log.rng
    crm = log.owner_of_deal()
    opened_at = _office_hours(rng, opened_at)
    title = rng.choice(("Starter", "Team", "Enterprise"))
    log.add("opportunity_opened", opened_at, title, crm=crm)
    at = opened_at
    for _ in range(rng.randint(1, 3)):
        at = _office_hours(rng, at + timedelta(days=rng.uniform(2, 12)))
        log.add(
            rng.choice(("email_sent", "call_connected", "email_reply")), at, f"{title} proposal"
        )
    _meeting(log, at + timedelta(days=4))
    if rng.random() < 0.85:  # the others are still open
        closed_at = _office_hours(rng, at + timedelta(days=rng.uniform(5, 50)))
        log.add("opportunity_won" if won else "opportunity_lost", closed_at, title, crm=crm)


def _office_hours(rng: Random, at: datetime) -> datetime:
    """Move a time to office hours of a weekday, on a whole second."""
    day = at if at.hour < 16 else at + timedelta(days=1)
    day += timedelta(days=7 - day.weekday() if day.weekday() > 4 else 0)
    hour = rng.randint(max(8, at.hour), 16) if day == at else rng.randint(8, 16)
    return datetime(
        day.year, day.month, day.day, hour, rng.randint(0, 59), rng.randint(0, 59), tzinfo=UTC
    )
