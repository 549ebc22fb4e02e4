"""Queries, read and answered slowly and plainly over a manifest's entries; and random ones, right and wrong.

A second opinion for tests: it shares no code with runsfs. All text is bytes, as on disk.
"""

import datetime
import fractions
import os
import re

ENOENT, EINVAL = "ENOENT", "EINVAL"
TEXT, NUMBER, TIME = "text", "number", "time"
SHORT = {"status": "verification_status", "tokens_in": "total_tokens_in", "tokens_out": "total_tokens_out"}
TYPES = {"run_id": TEXT, "framework": TEXT, "path": TEXT, "verification_status": TEXT, "status": TEXT, "day": TEXT,
         "start_time": TIME, "end_time": TIME, "total_tokens_in": NUMBER, "total_tokens_out": NUMBER, "tokens_in": NUMBER,
         "tokens_out": NUMBER, "tokens": NUMBER, "duration": NUMBER}
WORDS = ("since", "until", "has", "missing", "sort", "limit")
PREFIXES = ("not_", "min_", "max_", "starts_", "ends_", "contains_")
TIME_FORM = re.compile(rb"(\d{4})-(\d\d)-(\d\d)"
                       rb"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)?)?")
NUMBER_FORM = re.compile(rb"(-?)(?:(\d+)\.?(\d*)|\.(\d+))(?:[eE]([+-]?\d+))?")


class Refused(Exception):
    """The argument is the error's name."""


# ---- values ----

def microseconds(text):
    """Since year 1; None for what is no time."""
    found = TIME_FORM.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second, _, _, zone_hour, zone_minute = (int(part) if part and part.isdigit() else 0 for part in found.groups())
    fraction = (found[7] or b"").ljust(6, b"0")[:6]
    if hour > 23 or minute > 59 or second > 60 or zone_hour > 23 or zone_minute > 59:
        return None
    try:
        days = datetime.date(year, month, day).toordinal()
    except ValueError:
        return None
    zone = (zone_hour * 60 + zone_minute) * (-1 if found[8] == b"-" else 1)
    return (((days * 24 + hour) * 60 + minute - zone) * 60 + second) * 10**6 + int(fraction)


def number(text):
    """Exactly; None for what is none."""
    found = NUMBER_FORM.fullmatch(text)
    if not found or len(text) > 63:
        return None
    sign, whole, part, only_part, exponent = (group or b"" for group in found.groups())
    part = part or only_part
    # Nothing that a run has is near such a number.
    exponent = max(-4800, min(4800, int(exponent or b"0")))
    value = fractions.Fraction(int(whole + part), 10**len(part)) * fractions.Fraction(10) ** exponent
    return -value if sign else value


class Run:
    """An entry of the manifest with what may be asked of it: {field: (text, number or None)}, absent ones left out."""

    def __init__(self, entry):
        self.path = os.fsencode(entry["path"])
        self.run_id, self.framework = os.fsencode(entry["run_id"]), os.fsencode(entry["framework"])
        self.values = {"run_id": (self.run_id, None), "framework": (self.framework, None), "path": (self.path, None)}
        self.values["verification_status"] = (entry["verification_status"].encode("utf-8", "surrogatepass"), None)
        for name in ("start_time", "end_time"):
            if entry[name] is not None:
                text = entry[name].encode("utf-8", "surrogatepass")
                self.values[name] = (text, microseconds(text))
        for name in ("total_tokens_in", "total_tokens_out"):
            self.put_number(name, entry[name])
        self.put_number("tokens", entry["total_tokens_in"] + entry["total_tokens_out"])
        start, end = (self.values.get(name, (b"", None))[1] for name in ("start_time", "end_time"))
        if start is not None:
            self.values["day"] = (datetime.date.fromordinal(start // (86400 * 10**6)).isoformat().encode(), None)
        if start is not None and end is not None:
            self.put_number("duration", (end - start) // 10**6)

    def put_number(self, name, value):
        self.values[name] = (str(value).encode(), value)

    def value(self, field):
        return self.values.get(SHORT.get(field, field))


# ---- globs ----

def characters(raw):
    """A glob's characters as (byte, whether it stands for itself)."""
    found, at = [], 0
    raw = b"" if raw == b"%" else raw
    while at < len(raw):
        byte, literal = raw[at:at + 1], False
        if byte == b"\\":
            at += 1
            literal = True
            if at == len(raw):
                raise Refused(EINVAL)
            byte = raw[at:at + 1]
        if byte == b"%":
            byte, literal = bytes([int(raw[at + 1:at + 3], 16)]), True
            at += 2
        found.append((byte, literal))
        at += 1
    return found


def character_set(glob, at):
    """The expression for the set that begins at glob[at], and where it ends."""
    at += 1
    negated = at < len(glob) and glob[at] in ((b"!", False), (b"^", False))
    at += negated
    end = next((place for place in range(at + 1, len(glob)) if glob[place] == (b"]", False)), None)
    if end is None or at >= len(glob):
        raise Refused(EINVAL)
    members = set()
    while at < end:
        low, literal = glob[at]
        if (low, literal) == (b"[", False) and glob[at + 1] in ((b":", False), (b".", False), (b"=", False)):
            raise Refused(EINVAL)
        high = low
        if at + 2 < end and glob[at + 1] == (b"-", False):
            high = glob[at + 2][0]
            at += 2
        if low > b"\x7f" or high > b"\x7f" or low > high:
            raise Refused(EINVAL)
        members.update(range(low[0], high[0] + 1))
        at += 1
    chosen = [byte for byte in range(256) if (byte in members) != negated]
    return b"[" + b"".join(b"\\x%02x" % byte for byte in chosen) + b"]" if chosen else b"(?!)", end + 1


def glob_expression(raw):
    glob, at, expression = characters(raw), 0, b""
    while at < len(glob):
        byte, literal = glob[at]
        if not literal and byte == b"[":
            part, at = character_set(glob, at)
            expression += part
            continue
        expression += {b"*": b".*", b"?": b"."}.get(byte, re.escape(byte)) if not literal else re.escape(byte)
        at += 1
    return re.compile(expression, re.DOTALL)


# ---- predicates ----

def field_of(name):
    try:
        TYPES[name.decode("ascii")]
    except (UnicodeDecodeError, KeyError):
        raise Refused(ENOENT) from None
    return name.decode("ascii")


def unescaped(raw):
    if not raw or (raw != b"%" and re.search(rb"%(?![0-9A-Fa-f]{2})", raw)):
        raise Refused(EINVAL)
    return b"" if raw == b"%" else re.sub(rb"%(..)", lambda found: bytes([int(found[1], 16)]), raw, flags=re.DOTALL)


def required(value):
    if value is None:
        raise Refused(EINVAL)
    return value


def operands(field, raw, form):
    """[(text, number or None)]"""
    whole = form in ("min_", "max_") or (TYPES[field] == TIME and microseconds(raw) is not None)
    found = []
    for part in [raw] if whole else raw.split(b"+"):
        text = unescaped(part)
        compared = None
        if form in ("=", "not_", "min_", "max_"):
            if TYPES[field] == NUMBER:
                compared = required(number(text))
            elif TYPES[field] == TIME:
                compared = microseconds(text) if form in ("=", "not_") else required(microseconds(text))
        found.append((text, compared))
    return found


def equal(field, value, operand):
    if TYPES[field] != TEXT and value[1] is not None and operand[1] is not None:
        return value[1] == operand[1]
    return TYPES[field] != NUMBER and value[0] == operand[0]


COMPARISONS = {
    "=": equal,
    "not_": equal,
    "min_": lambda field, value, operand: value[1] is not None and value[1] >= operand[1],
    "max_": lambda field, value, operand: value[1] is not None and value[1] <= operand[1],
    "starts_": lambda field, value, operand: value[0].startswith(operand[0]),
    "ends_": lambda field, value, operand: value[0].endswith(operand[0]),
    "contains_": lambda field, value, operand: operand[0] in value[0],
}


def comparison(form, field, raw):
    """A function of a run."""
    if form in ("min_", "max_") and TYPES[field] == TEXT:
        raise Refused(EINVAL)
    given, compare = operands(field, raw, form), COMPARISONS[form]

    def holds(run):
        value = run.value(field)
        found = value is not None and any(compare(field, value, operand) for operand in given)
        return found != (form == "not_")

    return holds


class Query:
    def __init__(self, text):
        self.predicates, self.keys, self.limit = [], [], None
        for part in re.split(rb"[,/]", text) if text else ():
            self.read(part)

    def read(self, part):
        found = re.fullmatch(rb"([^=~]*)([=~])(.*)", part, re.DOTALL)
        if not found or not found[1]:
            raise Refused(EINVAL)
        left, mark, raw = found.groups()
        if mark == b"~":
            self.read_glob(field_of(left), raw)
        elif left.decode("latin-1") in TYPES:
            self.predicates.append(comparison("=", field_of(left), raw))
        elif left.decode("latin-1") in WORDS:
            self.read_word(left.decode(), raw)
        else:
            form = next((prefix for prefix in PREFIXES if left.startswith(prefix.encode())), None)
            if not form:
                raise Refused(ENOENT)
            self.predicates.append(comparison(form, field_of(left[len(form):]), raw))

    def read_glob(self, field, raw):
        unescaped(raw)
        expression = glob_expression(raw)
        self.predicates.append(lambda run: (value := run.value(field)) is not None and bool(expression.fullmatch(value[0])))

    def read_word(self, word, raw):
        if word in ("since", "until"):
            self.predicates.append(comparison("min_" if word == "since" else "max_", "start_time", raw))
        elif word in ("has", "missing"):
            field = field_of(raw)
            self.predicates.append(lambda run: (run.value(field) is not None) == (word == "has"))
        elif word == "sort":
            self.keys.append((field_of(raw.removeprefix(b"-")), raw.startswith(b"-")))
        else:
            if not re.fullmatch(rb"[0-9]{1,18}", raw):
                raise Refused(EINVAL)
            self.limit = int(raw) if self.limit is None else min(self.limit, int(raw))

    def answer(self, runs):
        found = [run for run in runs if all(holds(run) for holds in self.predicates)]
        for field, descending in reversed(self.keys):
            # What is absent is last in either direction, what is no time just before it.
            present = [run for run in found if run.value(field) is not None]
            kinds = [[run for run in present if TYPES[field] == TEXT or run.value(field)[1] is not None]]
            kinds.append([run for run in present if run not in kinds[0]])
            kinds[0].sort(key=lambda run: run.value(field)[TYPES[field] != TEXT], reverse=descending)
            kinds[1].sort(key=lambda run: run.value(field)[0], reverse=descending)
            found = kinds[0] + kinds[1] + [run for run in found if run.value(field) is None]
        return found[:self.limit]


def answer(runs, text):
    """The runs that match, or the name of the error."""
    try:
        return Query(text).answer(runs)
    except Refused as error:
        return error.args[0]


# ---- random queries ----

INTERESTING_NUMBERS = (b"0", b"1", b"-1", b"1e3", b"1000", b"1e5", b"100000.5", b"9007199254740992", b"9007199254740993", b"18014398509481984",
                       b".5", b"7.", b"2063", b"1e", b"x", b"0x10", b"1e30", b"-0")
INTERESTING_TIMES = (b"2025-10-16", b"2025-10-16T12:00", b"2025-10-16T00:00:00Z", b"2025-10-16T02:00:00+02:00", b"2025-10-16T02:00+0200",
                     b"2025-10-15 22:00:00.5-02", b"2025", b"2025-02-30", b"yesterday", b"2025-10-17T23:59:60Z", b"2025-10-16T1%32:00%2B01:00")
MUTATIONS = b",/=~+%-_*?[]\\:!ax019.eT \xc3\xff"


def escaped(random, text, is_glob=False):
    """A spelling of a value: what must be escaped is, and here and there what need not be."""
    special = b",/+%" + (b"*?[\\" if is_glob else b"")
    spelled = b"".join(b"%%%02X" % byte if byte in special or byte < 0x20 or random.random() < 0.03 else bytes([byte]) for byte in text)
    return (spelled if random.random() < 0.8 else re.sub(rb"%..", lambda found: found[0].lower(), spelled)) or b"%"


def random_value(random, runs, field):
    value = random.choice(runs).value(field)
    if TYPES[field] == NUMBER:
        if value is None or random.random() < 0.4:
            return random.choice(INTERESTING_NUMBERS)
        return str(value[1] + random.choice((0, 0, 0, 1, -1))).encode()
    if TYPES[field] == TIME and (value is None or random.random() < 0.4):
        return random.choice(INTERESTING_TIMES)
    text = value[0] if value else random.choice((b"", b"none", b"2025-10-16"))
    if TYPES[field] == TIME and random.random() < 0.5:
        return text  # as it is, with the '+' of its zone
    return escaped(random, text)


def random_part(random, runs, field):
    text = (random.choice(runs).value(field) or (b"x",))[0]
    start, end = sorted((random.randrange(len(text) + 1), random.randrange(len(text) + 1)))
    return random.choice((text[:start], text[end:], text[start:end], text))


def random_glob(random, runs, field):
    pieces = []
    for byte in random_part(random, runs, field):
        choice = random.random()
        if choice < 0.1:
            pieces.append(b"?")
        elif choice < 0.2:
            pieces.append(b"*")
        elif choice < 0.26 and byte < 0x80:
            low, high = max(0x30, byte - 3), min(0x7a, byte + 3)
            pieces.append(random.choice((b"[%c-%c]", b"[!%c-%c]", b"[^%c%c]", b"[]%c%c]", b"[%c%c-]")) % (low, high))
        elif choice < 0.3:
            pieces.append(b"\\")
            pieces.append(escaped(random, bytes([byte]), True))
        else:
            pieces.append(escaped(random, bytes([byte]), True))
    return random.choice((b"*", b"")) + b"".join(pieces) + random.choice((b"*", b"")) or b"*"


def random_predicate(random, runs):
    field = random.choice(list(TYPES))
    name = field.encode()
    form = random.choice(("=", "=", "=", "not_", "min_", "max_", "starts_", "ends_", "contains_", "~", "word", "word"))
    if form == "~":
        return name + b"~" + random_glob(random, runs, field)
    if form == "word":
        word = random.choice(WORDS)
        if word in ("since", "until"):
            return word.encode() + b"=" + random_value(random, runs, "start_time")
        if word == "limit":
            return b"limit=" + random.choice((b"0", b"1", b"2", b"5", b"10", b"1000", b"007", b"", b"-1", b"x", b"9" * 18, b"9" * 19))
        return word.encode() + b"=" + (random.choice((b"", b"-")) if word == "sort" else b"") + name
    if form in ("min_", "max_") and TYPES[field] == TEXT and random.random() < 0.9:
        field = random.choice([other for other in TYPES if TYPES[other] != TEXT])
        name = field.encode()
    count = 1 if form in ("min_", "max_") else random.choice((1, 1, 1, 2, 3))
    if form in ("starts_", "ends_", "contains_"):
        values = [escaped(random, random_part(random, runs, field)) for _ in range(count)]
    else:
        values = [random_value(random, runs, field) for _ in range(count)]
    return (b"" if form == "=" else form.encode()) + name + b"=" + b"+".join(values)


def random_query(random, runs):
    """Of one to four predicates, joined in either way; now and then with some bytes that make another or none of it."""
    text = b""
    for number_of in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        text += (random.choice(b",/").to_bytes(1, "big") if number_of else b"") + random_predicate(random, runs)
    while random.random() < 0.12:
        at = random.randrange(len(text) + 1)
        text = text[:at] + bytes([random.choice(MUTATIONS)]) * random.choice((0, 1)) + text[at + random.choice((0, 1)):]
    return text


def view_names(runs):
    """What the runs of a directory are called in it: by their id, and by their framework where that is not enough."""
    ids = [run.run_id for run in runs]
    return [run.run_id if ids.count(run.run_id) == 1 else run.run_id + b"." + run.framework for run in runs]
