"""What a record implies but does not state: rank and function from the job title, the mail domain.

A stated value is never was_overwritten; `enriched_by` names what was filled in here.
"""

import ibis
import ibis.expr.types as ir

from config.mapping import People

# the first pattern that fits decides; whole words, any case
_SENIORITY = (
    ("vp", r"(s?vp|evp|vice[- ]president)"),
    (
        "c_level",
        r"(c[efitmorp]o|chief|(co-?)?founder|owner|president|managing director"
        r"|g[ée]rante?|pdg|gesch[äa]ftsf[üu]hrer(in)?|inhaber(in)?)",
    ),
    ("director", r"(director|directeur|directrice|direktor(in)?)"),
    ("head", r"(head|leiter(in)?|responsable)"),
    ("manager", r"(manager|lead|chef|team ?leader|supervisor)"),
    ("entry", r"(intern|trainee|junior|assistant|student|praktikant(in)?|stagiaire)"),
)
_FUNCTIONS = (
    ("marketing", r"(marketing|brand|growth|communications?|seo|content)"),
    ("sales", r"(sales|account|business development|vertrieb|commercial|revenue)"),
    (
        "engineering",
        r"(engineer(ing)?|developer|software|devops|technology|technical|cto|entwickler(in)?)",
    ),
    ("it", r"(it|information|systems?|network|security|infrastructure|data)"),
    ("finance", r"(finance|financial|accounting|controller|cfo|treasur(y|er))"),
    ("people", r"(hr|human resources|people|talent|recruit(er|ing)|personal)"),
    ("operations", r"(operations?|logistics|supply|procurement|purchasing|coo|einkauf)"),
)


_WORD = "(^|[^a-z0-9_]){}([^a-z0-9_]|$)"
"""A whole word, spelt so that every engine understands it."""


def enrich(people: ir.Table, config: People) -> ir.Table:
    """Fill in what the stated fields imply.

    In:     people with the fields of `people.yaml` (email, job_title)
    Out:    the same with seniority, job_function, email_domain (text), is_free_mail (boolean; NULL:
            no address) and enriched_by (the names filled in here, joined with a comma)
    Source: docs/people.md, "Enrichment".
    """
    implied = _derived_values(people, config)
    filled = {
        name: ibis.coalesce(people[name], value) if name in people.columns else value
        for name, value in implied.items()
    }
    marks = [
        ibis.ifelse(_is_ours(people, name) & value.notnull(), f"{name},", "")
        for name, value in implied.items()
    ]
    told = marks[0]
    for mark in marks[1:]:
        told = told + mark
    return people.mutate(**filled, enriched_by=told.re_replace(",$", "").nullif(""))


def _derived_values(people: ir.Table, config: People) -> dict[str, ir.Value]:
    nothing = ibis.null("string")
    title = people.job_title.lower() if "job_title" in people.columns else nothing
    domain = people.email.split("@")[1].nullif("") if "email" in people.columns else nothing
    free = domain.isin([name.lower() for name in config.free_email_domains])
    return {
        "seniority": _first_match(title, _SENIORITY),
        "job_function": _first_match(title, _FUNCTIONS),
        "email_domain": domain,
        "is_free_mail": ibis.ifelse(domain.isnull(), ibis.null("boolean"), free),
    }


def _first_match(title: ir.StringValue, patterns: tuple[tuple[str, str], ...]) -> ir.StringValue:
    branches = ((title.re_search(_WORD.format(pattern)), word) for word, pattern in patterns)
    return ibis.cases(*branches, else_=None).cast("string")


def _is_ours(people: ir.Table, name: str) -> ir.BooleanValue:
    return people[name].isnull() if name in people.columns else ibis.literal(True)
