"""Names, addresses, companies and jobs of people from many countries.

They have accents, right-to-left and Asian scripts, emoji, decomposed Unicode, capitals in
addresses, shared role addresses and free-mail domains, as real CRMs do.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Final

from mimesis import Locale
from mimesis import Person as Faker


@dataclass(frozen=True, slots=True)
class Country:
    """A country: the locale of its names, and the format of its telephone numbers."""

    name: str
    code: str
    locale: Locale
    share: int
    phone: str


COUNTRIES: Final = (
    Country("United States", "US", Locale.EN, 24, "+1 212 55# ####"),
    Country("Germany", "DE", Locale.DE, 18, "+49 30 #######"),
    Country("United Kingdom", "GB", Locale.EN_GB, 12, "+44 20 7### ####"),
    Country("France", "FR", Locale.FR, 9, "+33 1 4# ## ## ##"),
    Country("Spain", "ES", Locale.ES, 6, "+34 91 ### ## ##"),
    Country("Italy", "IT", Locale.IT, 6, "+39 02 #######"),
    Country("Poland", "PL", Locale.PL, 5, "+48 22 ### ## ##"),
    Country("Sweden", "SE", Locale.SV, 4, "+46 8 ### ## ##"),
    Country("Norway", "NO", Locale.NO, 4, "+47 22 ## ## ##"),
    Country("Czech Republic", "CZ", Locale.CS, 3, "+420 2## ### ###"),
    Country("Türkiye", "TR", Locale.TR, 3, "+90 212 ### ## ##"),
    Country("Greece", "GR", Locale.EL, 2, "+30 21 #### ####"),
    Country("Japan", "JP", Locale.JA, 2, "+81 3 #### ####"),
    Country("United Arab Emirates", "AE", Locale.AR_AE, 2, "+971 4 ### ####"),
)
INDUSTRIES: Final = (
    "Software",
    "Finance",
    "Manufacturing",
    "Retail",
    "Health care",
    "Logistics",
    "Education",
    "Energy",
)
JOBS: Final = (
    "CEO",
    "Chief Financial Officer",
    "CTO",
    "VP Sales",
    "VP Marketing",
    "Head of Revenue Operations",
    "Head of Marketing",
    "Director of IT",
    "Sales Manager",
    "Marketing Manager",
    "IT Manager",
    "Buyer",
    "Account Executive",
    "Software Engineer",
    "Data Analyst",
    "Working Student Marketing",
    "Geschäftsführerin",
    "Leiter Vertrieb",
    "Directrice marketing",
    "Responsable des achats",
    "Owner",
    "Consultant",
)
FREE_EMAIL_DOMAINS: Final = (
    "gmail.com",
    "outlook.com",
    "gmx.de",
    "yahoo.com",
    "web.de",
    "proton.me",
)
_TRADES: Final = (
    "Systems",
    "Works",
    "Group",
    "Logistics",
    "Labs",
    "Partners",
    "& Co",
    "Technik",
    "Industries",
    "Foods",
)
_EMOJI: Final = ("🚀", "🌟", "👩‍💻", "☕")


@dataclass(frozen=True, slots=True)
class Company:
    """An employer of one or more people."""

    number: int
    name: str
    domain: str
    industry: str
    employees: int
    country: Country


@dataclass(frozen=True, slots=True)
class Identity:
    """Name, addresses and job of one person; None for missing values."""

    first_name: str
    last_name: str
    email: str | None
    additional_emails: tuple[str, ...]
    phone: str | None
    job_title: str | None
    company: Company | None
    country: str | None


def make_identity(rng: Random, number: int, seed: int) -> Identity:
    """Generate the person with this number; the same arguments give the same person."""
    employed = rng.random() < 0.9
    company = _company(rng.randint(0, number // 3), seed) if employed else None
    country = company.country if company and rng.random() < 0.85 else _country(rng)
    first_name, last_name = _name(rng, country, seed)
    email = _email(rng, number, first_name, last_name, company)
    extra = (
        (f"{_ascii(last_name) or 'user'}.{number}@{rng.choice(FREE_EMAIL_DOMAINS)}",)
        if rng.random() < 0.05
        else ()
    )
    return Identity(
        first_name=first_name,
        last_name=last_name,
        email=email,
        additional_emails=extra if email else (),
        phone=_phone(rng, country) if rng.random() < 0.55 else None,
        job_title=rng.choice(JOBS) if rng.random() < 0.7 else None,
        company=company,
        country=(country.code if rng.random() < 0.12 else country.name)
        if rng.random() < 0.85
        else None,
    )


def _name(rng: Random, country: Country, seed: int) -> tuple[str, str]:
    first_names, last_names = _names(country.locale, seed)
    first_name, last_name = rng.choice(first_names), rng.choice(last_names)
    match rng.randint(0, 199):
        case 0 | 1:
            first_name = f"{first_name} {rng.choice(_EMOJI)}"
        case 2 | 3:
            last_name = unicodedata.normalize("NFD", last_name)
        case 4:
            last_name = last_name.upper()
        case 5:
            first_name = f"{first_name}\u200b"
    return first_name, last_name


@lru_cache(maxsize=64)
def _names(locale: Locale, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    faker = Faker(locale, seed=seed)
    return tuple(faker.first_name() for _ in range(250)), tuple(
        faker.last_name() for _ in range(400)
    )


@lru_cache(maxsize=100_000)
def _company(number: int, seed: int) -> Company:
    rng = Random(f"{seed}/company/{number}")
    country = _country(rng)
    _, last_names = _names(country.locale, seed)
    family, trade = rng.choice(last_names), rng.choice(_TRADES)
    label = "-".join(part for part in (_ascii(family), _ascii(trade)) if part)
    return Company(
        number=number,
        name=f"{family} {trade}",
        domain=f"{label}-{number}.example",
        industry=rng.choice(INDUSTRIES),
        employees=int(rng.paretovariate(0.6) * 4),
        country=country,
    )


def _country(rng: Random) -> Country:
    return rng.choices(COUNTRIES, [country.share for country in COUNTRIES])[0]


def _email(
    rng: Random, number: int, first_name: str, last_name: str, company: Company | None
) -> str | None:
    if rng.random() < 0.05:
        return None
    if company and rng.random() < 0.012:
        return f"info@{company.domain}"
    name = ".".join(part for part in (_ascii(first_name), _ascii(last_name)) if part) or "contact"
    local = f"{name}.{number}"  # the number makes the addresses of namesakes different
    domain = company.domain if company and rng.random() < 0.9 else rng.choice(FREE_EMAIL_DOMAINS)
    address = f"{local}@{domain}"
    return address.title() if rng.random() < 0.04 else address


def _phone(rng: Random, country: Country) -> str:
    number = re.sub("#", lambda _: str(rng.randint(0, 9)), country.phone)
    dialling_code, _, rest = number.partition(" ")
    match rng.randint(0, 3):
        case 0:
            return number.replace(" ", "")
        case 1:
            return f"00{dialling_code[1:]} {rest}"
        case 2 if country.code != "US":
            return f"0{rest}"
    return number


def _ascii(text: str) -> str:
    """Fold to lower-case ASCII letters; a non-Latin script gives an empty text."""
    folded = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    return re.sub("[^a-z]", "", folded)
