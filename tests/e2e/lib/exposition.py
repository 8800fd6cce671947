"""exposition.py: reads Prometheus' text format 0.0.4 strictly: HELP and TYPE once and before their samples, no series twice, a
name's samples together, histograms that only rise and whose +Inf bucket is their count, escapes, upstream's stability."""
import math, os, re

UPSTREAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "golden", "metrics", "upstream.txt")

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"')
UNMARKED = re.compile(r"process_|container_|machine_|sampan_")  # without [STABILITY], as upstream


class Broken(Exception):
    pass


class Family:
    def __init__(self, name):
        self.name, self.help, self.type, self.samples = name, None, None, []  # samples: (suffix, labels, value)

    def value(self, **labels):
        """The sum of what has these labels."""
        return sum(v for s, l, v in self.samples if not s and all(l.get(k) == x for k, x in labels.items()))

    def labels(self):
        return {k for _, l, _ in self.samples for k in l} - {"le"}


def number(text):
    if text in ("+Inf", "-Inf", "NaN"):
        return float(text.replace("Inf", "inf"))
    if not re.fullmatch(r"-?\d+(\.\d+)?(e[+-]\d\d+)?", text):
        raise Broken(f"not a number: {text!r}")
    return float(text)


def sample(line):
    name = NAME.match(line)
    if not name:
        raise Broken(f"no name: {line!r}")
    rest, labels = line[name.end():], {}
    if rest.startswith("{"):
        at = 1
        while rest[at] != "}":
            m = LABEL.match(rest, at)
            if not m or m.group(1) in labels:
                raise Broken(f"labels: {line!r}")
            labels[m.group(1)] = m.group(2)
            at = m.end()
            if rest[at] == ",":
                at += 1
            elif rest[at] != "}":
                raise Broken(f"labels: {line!r}")
        rest = rest[at + 1:]
    fields = rest.split(" ")
    if fields[0] or not 2 <= len(fields) <= 3 or (len(fields) == 3 and not re.fullmatch(r"-?\d+", fields[2])):
        raise Broken(f"sample: {line!r}")
    return name.group(0), labels, number(fields[1])


def check_histogram(f):
    series = {}
    for suffix, labels, value in f.samples:
        key = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        s = series.setdefault(key, {"buckets": [], "sum": None, "count": None})
        if suffix == "_bucket":
            s["buckets"].append((number(labels["le"]), value))
        else:
            s[suffix[1:]] = value
    for key, s in series.items():
        limits, counts = [b[0] for b in s["buckets"]], [b[1] for b in s["buckets"]]
        if not limits or limits != sorted(set(limits)) or limits[-1] != math.inf:
            raise Broken(f"{f.name}{key}: buckets {limits}")
        if counts != sorted(counts) or s["count"] is None or s["sum"] is None or counts[-1] != s["count"]:
            raise Broken(f"{f.name}{key}: {counts}, count {s['count']}, sum {s['sum']}")


def parse(text):
    """name -> Family; Broken when something is not as it has to be."""
    families, seen, current = {}, set(), None
    if text and not text.endswith("\n"):
        raise Broken("the last line does not end")
    for line in text.split("\n")[:-1]:
        if line.startswith(("# HELP ", "# TYPE ")):
            what, name, value = line[2:].split(" ", 2)
            if what == "HELP":
                if name in families:
                    raise Broken(f"{name}: told twice")
                current = families[name] = Family(name)
                current.help = value
                if not UNMARKED.match(name) and not re.match(r"\[(STABLE|BETA|ALPHA|INTERNAL)\] ", value):
                    raise Broken(f"{name}: no stability: {value!r}")
            elif current is None or current.name != name or current.type:
                raise Broken(f"TYPE of {name} out of place")
            else:
                current.type = value
                if value not in ("counter", "gauge", "histogram", "summary"):
                    raise Broken(f"{name}: type {value}")
            continue
        if not line or line.startswith("#"):
            raise Broken(f"line {line!r}")
        name, labels, value = sample(line)
        suffix = name[len(current.name):] if current and name.startswith(current.name) else None
        allowed = ("_bucket", "_sum", "_count") if current and current.type == "histogram" else ("",)
        if current is None or not current.type or suffix not in allowed or ("le" in labels) != (suffix == "_bucket"):
            raise Broken(f"{line!r} does not belong to {current and current.name}")
        series = (name, tuple(sorted(labels.items())))
        if series in seen:
            raise Broken(f"twice: {line!r}")
        if current.type == "counter" and value < 0:
            raise Broken(f"a counter below zero: {line!r}")
        seen.add(series)
        current.samples.append((suffix, labels, value))
    for f in families.values():
        if not f.type:
            raise Broken(f"{f.name} has no type")
        if f.type == "histogram":
            check_histogram(f)
    return families


def upstream():
    """name -> (type, stability, labels, buckets) of what upstream tells under that name."""
    facts = {}
    for line in open(UPSTREAM):
        if not line.startswith("#"):
            name, kind, stability, labels, buckets = line.split()
            facts[name] = kind, stability, set(labels.split(",")) - {"-"}, [] if buckets == "-" else [float(b) for b in buckets.split(",")]
    return facts


def differences(families):
    """In words, where what is told under upstream's names is not as upstream tells it."""
    facts, out = upstream(), []
    for name, f in families.items():
        if name not in facts:
            if not name.startswith(("sampan_", "machine_", "container_")):
                out.append(f"{name} is not upstream's")
            continue
        kind, stability, labels, buckets = facts[name]
        if f.type != kind and kind != "custom":
            out.append(f"{name}: {f.type}, upstream's is a {kind}")
        if stability != "-" and not f.help.startswith(f"[{stability}] ") and not name.startswith(("container_", "process_")):
            out.append(f"{name}: {f.help[:12]!r}, upstream's is {stability}")
        if f.samples and f.labels() != labels:
            out.append(f"{name}: labels {f.labels()}, upstream's {labels}")
        ours = sorted({number(l["le"]) for s, l, _ in f.samples if s == "_bucket"})[:-1]
        if f.type == "histogram" and f.samples and (len(ours) != len(buckets) or any(abs(a - b) > 1e-5 * b for a, b in zip(ours, buckets))):
            out.append(f"{name}: buckets {ours}, upstream's {buckets}")
    return out
