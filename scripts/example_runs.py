"""What the runs of an example say of themselves: their metrics.json and metadata.json, and the manifest's entry for these."""
import datetime

FRAMEWORKS = ("autogen", "baes", "chatdev", "ghspec")
MODELS = ("gpt-4o-mini", "gpt-4o", "o4-mini")
STATUSES = ("verified",) * 12 + ("pending",) * 4 + ("discrepancy",) * 2 + ("failed",) * 2
FIRST_START = datetime.datetime(2025, 10, 15, 8, 0, 0)
SPRINTS = 6


def identifier(rng):
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[int(digits[16], 16) % 4]}{digits[17:20]}-{digits[20:]}"


def timestamp(moment):
    return moment.isoformat(timespec="microseconds") + "Z"


def steps(rng, start, duration_s):
    """One record a sprint. Its own times are numbers: only the run's are ISO text."""
    records, begin = [], int(start.replace(tzinfo=datetime.timezone.utc).timestamp())
    for number in range(1, SPRINTS + 1):
        took = duration_s / SPRINTS * rng.uniform(0.8, 1.0)
        records.append({"step": number, "duration_seconds": took, "start_timestamp": begin, "end_timestamp": begin + int(took),
                        "hitl_count": 0, "retry_count": rng.randrange(3), "success": True})
        begin += int(took)
    return records


def reconciliation(rng, status, tokens_in, tokens_out, end):
    attempts = [{"timestamp": timestamp(end + datetime.timedelta(minutes=30 * number)), "total_tokens_in": tokens_in,
                 "total_tokens_out": tokens_out, "total_api_calls": rng.randrange(20, 200)}
                for number in range(1, rng.randrange(2, 4))]
    return {"verification_status": status, "attempts": attempts,
            "verification_message": f"{'✅' if status == 'verified' else '⚠️'} {status}: {tokens_in:,} in, {tokens_out:,} out"}


def lifetime(rng, number, interval_s=97):
    """When a run began, and how many seconds it took."""
    start = FIRST_START + datetime.timedelta(seconds=number * interval_s + rng.randrange(90), microseconds=rng.randrange(10**6))
    return start, rng.uniform(180, 2400)


def describe(rng, framework, run_id, start, duration_s):
    """The metrics (None where there are none yet) and the metadata of a run, in one of the layouts that occur."""
    end = start + datetime.timedelta(seconds=duration_s)
    tokens_in, tokens_out = int(rng.lognormvariate(11.5, 0.9)), int(rng.lognormvariate(10.3, 0.8))
    status = rng.choice(STATUSES)
    layout = rng.choices(("aggregate", "plain", "metadata times", "mixed", "no times", "running"), (60, 20, 8, 6, 3, 3))[0]

    metadata = {"run_id": run_id, "framework": framework, "framework_commit": f"{rng.getrandbits(160):040x}"}
    if layout in ("metadata times", "running"):
        metadata["start_time"] = timestamp(start)
        metadata["end_time"] = None if layout == "running" else timestamp(end)
    if layout == "running":
        return None, metadata

    metrics = {"run_id": run_id, "model": rng.choice(MODELS)}
    if layout in ("aggregate", "mixed"):
        metrics["start_timestamp"], metrics["end_timestamp"] = timestamp(start), timestamp(end)
    elif layout == "plain":
        metrics["start_time"], metrics["end_time"] = timestamp(start), timestamp(end)
    metrics["steps"] = steps(rng, start, duration_s)
    aggregate = {"UTT": SPRINTS, "AUTR": 1.0, "TOK_IN": tokens_in, "TOK_OUT": tokens_out, "T_WALL_seconds": duration_s,
                 "ESR": rng.choice((0.0, 0.5, 1.0)), "AEI": float("nan") if rng.random() < 0.02 else rng.random()}
    if layout == "mixed":  # half of the totals stand in one place, half in the other
        metrics["total_tokens_out"] = aggregate.pop("TOK_OUT")
    if layout in ("plain", "metadata times"):
        metrics["total_tokens_in"], metrics["total_tokens_out"] = tokens_in, tokens_out
    else:
        metrics["aggregate_metrics"] = aggregate
    if layout in ("aggregate", "mixed", "no times") and rng.random() < 0.85:
        # Written as pending when the run ended; the reconciliation with the provider's own figures came hours later.
        metrics["verification_status"] = "pending"
        metrics["usage_api_reconciliation"] = reconciliation(rng, status, tokens_in, tokens_out, end)
    elif rng.random() < 0.9:
        metrics["verification_status"] = status
    return metrics, metadata


# --- the manifest: section "manifest" of the documentation, applied to the values above --------------------------------


def first(default, kind, *candidates):
    return next((value for value in candidates if type(value) is kind), default)


def manifest_entry(framework, run_id, metrics, metadata):
    metrics = metrics or {}
    totals = metrics.get("aggregate_metrics", {})
    return {
        "run_id": run_id,
        "framework": framework,
        "path": f"{framework}/{run_id}",
        "start_time": first(None, str, metrics.get("start_timestamp"), metrics.get("start_time"), metadata.get("start_time")),
        "end_time": first(None, str, metrics.get("end_timestamp"), metrics.get("end_time"), metadata.get("end_time")),
        "verification_status": first("pending", str, metrics.get("usage_api_reconciliation", {}).get("verification_status"),
                                     metrics.get("verification_status")),
        "total_tokens_in": first(0, int, totals.get("TOK_IN"), metrics.get("total_tokens_in")),
        "total_tokens_out": first(0, int, totals.get("TOK_OUT"), metrics.get("total_tokens_out")),
    }
