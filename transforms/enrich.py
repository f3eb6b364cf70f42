"""What a record implies but does not state: rank and function from the job title, the mail domain.

A stated value is never overruled; `enriched_by` names what was filled in here.
"""

import ibis
import ibis.expr.types as ir

from transforms.mapping import People

# the first pattern that fits decides; whole words, any case
_SENIORITY = (
    ("vp", r"\b(s?vp|evp|vice[- ]president)\b"),
    (
        "c_level",
        r"\b(c[efitmorp]o|chief|(co-?)?founder|owner|president|managing director"
        r"|g[ée]rante?|pdg|gesch[äa]ftsf[üu]hrer(in)?|inhaber(in)?)\b",
    ),
    ("director", r"\b(director|directeur|directrice|direktor(in)?)\b"),
    ("head", r"\b(head|leiter(in)?|responsable)\b"),
    ("manager", r"\b(manager|lead|chef|team ?leader|supervisor)\b"),
    ("entry", r"\b(intern|trainee|junior|assistant|student|praktikant(in)?|stagiaire)\b"),
)
_FUNCTIONS = (
    ("marketing", r"\b(marketing|brand|growth|communications?|seo|content)\b"),
    ("sales", r"\b(sales|account|business development|vertrieb|commercial|revenue)\b"),
    (
        "engineering",
        r"\b(engineer(ing)?|developer|software|devops|technology|technical|cto|entwickler(in)?)\b",
    ),
    ("it", r"\b(it|information|systems?|network|security|infrastructure|data)\b"),
    ("finance", r"\b(finance|financial|accounting|controller|cfo|treasur(y|er))\b"),
    ("people", r"\b(hr|human resources|people|talent|recruit(er|ing)|personal)\b"),
    ("operations", r"\b(operations?|logistics|supply|procurement|purchasing|coo|einkauf)\b"),
)


def enrich(people: ir.Table, config: People) -> ir.Table:
    """Fill in what the stated fields imply.

    In:     people with the fields of `people.yaml` (email, job_title)
    Out:    the same with seniority, job_function, email_domain (text), is_free_mail (boolean; NULL:
            no address) and enriched_by (the names filled in here, joined with a comma)
    Source: docs/people.md, "Enrichment".
    """
    implied = _implied(people, config)
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


def _implied(people: ir.Table, config: People) -> dict[str, ir.Value]:
    nothing = ibis.null("string")
    title = people.job_title.lower() if "job_title" in people.columns else nothing
    domain = people.email.split("@")[1].nullif("") if "email" in people.columns else nothing
    free = domain.isin([name.lower() for name in config.free_mail_domains])
    return {
        "seniority": _first_match(title, _SENIORITY),
        "job_function": _first_match(title, _FUNCTIONS),
        "email_domain": domain,
        "is_free_mail": ibis.ifelse(domain.isnull(), ibis.null("boolean"), free),
    }


def _first_match(title: ir.StringValue, patterns: tuple[tuple[str, str], ...]) -> ir.StringValue:
    branches = ((title.re_search(pattern), word) for word, pattern in patterns)
    return ibis.cases(*branches, else_=None).cast("string")


def _is_ours(people: ir.Table, name: str) -> ir.BooleanValue:
    return people[name].isnull() if name in people.columns else ibis.literal(True)
