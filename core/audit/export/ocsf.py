"""Our records as events of OCSF 1.3 (schema.ocsf.io). Pure.

Sign-ins are Authentication, changes of people and keys Account Change, of organisations and the like Entity Management, and
all that a turn or a tool does API Activity.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

VERSION = "1.3.0"
ACCOUNT_CHANGE = 3001
CLASSES = {
    # the beginning of a kind: class, its category, activities by the kind's verb
    "sign_in.": (3002, "Authentication", 3, {"refused": 1}),
    "user.signed_in": (3002, "Authentication", 3, {"signed_in": 1}),
    "user.": (ACCOUNT_CHANGE, "Account Change", 3, {"created": 1, "deleted": 6, "deactivated": 5, "activated": 2}),
    "key.": (ACCOUNT_CHANGE, "Account Change", 3, {"created": 1, "revoked": 6}),
    "organization.": (3004, "Entity Management", 3, {"created": 1, "updated": 3, "deleted": 4}),
    "": (6003, "API Activity", 6, {"created": 1, "started": 1, "updated": 3, "changed": 3, "ended": 3, "deleted": 4}),
}
CATEGORIES = {3: "Identity & Access Management", 6: "Application Activity"}
STATUS = {"success": (1, "Success"), "failure": (2, "Failure"), "refused": (2, "Failure"), "unknown": (0, "Unknown")}
PRODUCT = {"name": "Paddock", "vendor_name": "Paddock"}
OTHER = 99
EPOCH, MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
INFORMATIONAL, MEDIUM = (1, "Informational"), (3, "Medium")


def event_of(record: Mapping[str, Any], line: str) -> dict[str, Any]:
    """Raises KeyError, ValueError, TypeError or AttributeError for what is no record."""
    kind, organization = record["kind"], record["organization"]
    frame = _frame(kind, record["outcome"])
    return {
        **frame,
        "metadata": {
            "version": VERSION,
            "uid": record["id"],
            "product": PRODUCT,
            "log_name": "audit",
            "tenant_uid": organization,
            "correlation_uid": record["request"],
            "original_time": record["time"],
        },
        "time": (datetime.fromisoformat(record["time"]) - EPOCH) // MILLISECOND,
        "actor": {"user": {"uid": record["actor"], "credential_uid": record["key"], "org": {"uid": organization}}},
        "user": {"uid": record["object" if frame["class_uid"] == ACCOUNT_CHANGE else "actor"]},
        "api": {"operation": kind, "request": {"uid": record["request"]}},
        "resources": [{"uid": record["object"], "type": kind.partition(".")[0]}],
        "unmapped": {"digest": record["digest"], "details": record["details"]},
        "raw_data": line,
    }


@lru_cache(maxsize=1_000)
def _frame(kind: str, outcome: str) -> Mapping[str, Any]:
    """What all events of a kind and an outcome say, and places for what comes before it."""
    number, name, category, activities = next(value for prefix, value in CLASSES.items() if kind.startswith(prefix))
    verb = kind.rpartition(".")[2]
    activity = activities.get(verb, OTHER)
    severity = MEDIUM if outcome == "refused" else INFORMATIONAL
    status = STATUS[outcome]
    return {
        "metadata": None,
        "time": None,
        "class_uid": number,
        "class_name": name,
        "category_uid": category,
        "category_name": CATEGORIES[category],
        "activity_id": activity,
        "activity_name": verb,
        "type_uid": number * 100 + activity,
        "severity_id": severity[0],
        "severity": severity[1],
        "status_id": status[0],
        "status": status[1],
        "status_code": outcome,
        "src_endpoint": {"svc_name": "paddock"},
    }
