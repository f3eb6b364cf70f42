"""Resources of the API itself: versions, limits, record counts."""

from sandbox.salesforce import bulk_v1
from sandbox.salesforce.records import ORGANIZATION
from sandbox.salesforce.request import ApiRequest, ApiResponse

OLDEST_VERSION, NEWEST_VERSION = 31, 67
DAILY_LIMIT = 100_000

_BULK_JOBS = 10_000
_BULK_BATCHES = 15_000
_SEASONS = ("Summer", "Winter", "Spring")


_RESOURCES = (
    "sobjects",
    "query",
    "queryAll",
    "search",
    "parameterizedSearch",
    "recent",
    "limits",
    "composite",
    "jobs",
    "tooling",
)
_UNUSED = {
    "ConcurrentAsyncGetReportInstances": 200,
    "ConcurrentSyncReportRuns": 20,
    "DailyAsyncApexExecutions": 250_000,
    "DailyDurableGenericStreamingApiEvents": 10_000,
    "DailyDurableStreamingApiEvents": 10_000,
    "DailyGenericStreamingApiEvents": 10_000,
    "DailyStandardVolumePlatformEvents": 10_000,
    "DailyStreamingApiEvents": 10_000,
    "DailyWorkflowEmails": 1_000,
    "DataStorageMB": 10_240,
    "DurableStreamingApiConcurrentClients": 20,
    "FileStorageMB": 10_240,
    "HourlyAsyncReportRuns": 1_200,
    "HourlyDashboardRefreshes": 200,
    "HourlyDashboardResults": 5_000,
    "HourlyDashboardStatuses": 999_999_999,
    "HourlyODataCallout": 1_000,
    "HourlySyncReportRuns": 500,
    "HourlyTimeBasedWorkflow": 1_000,
    "MassEmail": 5_000,
    "PermissionSets": 1_500,
    "SingleEmail": 5_000,
    "StreamingApiConcurrentClients": 20,
}
"""Limits of features that the sandbox does not have."""


def versions(_: ApiRequest) -> ApiResponse:
    """List the API versions; this needs no session."""
    return ApiResponse([_version(number) for number in range(OLDEST_VERSION, NEWEST_VERSION + 1)])


def _version(number: int) -> dict[str, str]:
    """Return the label of a version: 31.0 was Summer '14, and there are three a year."""
    years, season = divmod(number - OLDEST_VERSION, len(_SEASONS))
    year = 14 + years + (season > 0)
    return {
        "label": f"{_SEASONS[season]} '{year}",
        "url": f"/services/data/v{number}.0",
        "version": f"{number}.0",
    }


def resources(request: ApiRequest) -> ApiResponse:
    """List the resources of the version."""
    user = f"{request.origin}/id/{ORGANIZATION}/{request.store.user_id}"
    return ApiResponse({name: f"{request.root}/{name}" for name in _RESOURCES} | {"identity": user})


def limits(request: ApiRequest) -> ApiResponse:
    """Return the limits and what remains of them."""
    store = request.store
    limit = store.daily_limit or DAILY_LIMIT
    spent = sum(1 for one in store.jobs.values() if one.kind == "query")
    batches = sum(len(one.batches) for one in store.jobs.values() if one.kind == bulk_v1.KIND)
    # this key exists since version 49
    named = "DailyBulkApiBatches" if float(request.version) >= 49 else "DailyBulkApiRequests"
    return ApiResponse(
        {
            "DailyApiRequests": {"Max": limit, "Remaining": max(0, limit - store.calls_used)},
            named: {"Max": _BULK_BATCHES, "Remaining": _BULK_BATCHES - batches},
            "DailyBulkV2QueryJobs": {"Max": _BULK_JOBS, "Remaining": _BULK_JOBS - spent},
            "DailyBulkV2QueryFileStorageMB": {"Max": 976_562, "Remaining": 976_562},
        }
        | {name: {"Max": most, "Remaining": most} for name, most in _UNUSED.items()}
    )


def record_count(request: ApiRequest) -> ApiResponse:
    """Return the number of rows of objects; Salesforce's own count is hours old."""
    requested = request.query.get("sObjects", "")
    names = [one for one in requested.split(",") if one] or list(request.store.schema)
    sobjects = [request.store.find_sobject(name) for name in names]
    counts = [
        {"count": len(request.store.tables[one.name]), "name": one.name}
        for one in sobjects
        if one is not None
    ]
    return ApiResponse({"sObjects": counts})
