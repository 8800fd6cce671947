#!/usr/bin/env python3
"""Turns schema/*.schema into types.gen.h (C structs) and tables.gen.c (constant tables for the walker).

schemagen.py --out DIR FILE...     The format of the files is explained in schema/README.md, what comes out of it in
src/schema/schema.h. Nothing is checked here that the C compiler checks anyway.
"""
import argparse, json, pathlib, re, sys

VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
# schema name: (kind, C type by value, C type of a list, Go's name)
SCALARS = {
    "bool": ("BOOL", "bool", "struct bool_vec", "bool"),
    "int32": ("INT32", "int32_t", "struct int32_vec", "int32"),
    "int64": ("INT64", "int64_t", "struct int64_vec", "int64"),
    "float64": ("DOUBLE", "double", "struct double_vec", "float64"),
    "string": ("STRING", "struct str", "struct str_vec", "string"),
    "bytes": ("BYTES", "struct str", "struct str_vec", "[]uint8"),
    "quantity": ("QUANTITY", "struct str", "struct str_vec", "resource.Quantity"),
    "duration": ("DURATION", "struct str", "struct str_vec", "v1.Duration"),
    "intOrString": ("INT_OR_STRING", "struct int_or_string", "struct int_or_string_vec", "intstr.IntOrString"),
    "time": ("TIME", "struct k8s_time", "struct k8s_time_vec", "v1.Time"),
    "microTime": ("MICRO_TIME", "struct k8s_time", "struct k8s_time_vec", "v1.MicroTime"),
    "raw": ("RAW", "struct str", "struct str_vec", "runtime.RawExtension"),
    "fieldsV1": ("RAW", "struct str", "struct str_vec", "v1.FieldsV1"),
    "json": ("RAW", "struct str", "struct str_vec", "v1.JSON"),
    "any": ("RAW", "struct str", "struct str_vec", "interface {}"),
}
STRINGS = {"STRING", "BYTES", "QUANTITY", "DURATION", "RAW"}  # optional ones need no pointer: NULL is absent
TIMES = {"TIME", "MICRO_TIME"}                                # nor do these: .set
RESERVED = set("""auto break case char const continue default do double else enum extern float for goto if inline int
    long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    bool true false asm typeof linux unix errno stdin stdout stderr assert NULL""".split())
FLAG_WORDS = {"always": "ALWAYS", "omitzero": "OMITZERO", "required": "REQUIRED", "atomic": "ATOMIC"}
PATCH = {"merge": "PATCH_MERGE", "replace": "PATCH_REPLACE", "retainKeys": "PATCH_RETAIN_KEYS"}


def die(where, what):
    sys.exit(f"{where}: {what}")


def snake(name):
    name = re.sub(r"([A-Z]{2,})s(?=[A-Z]|$)", lambda m: m.group(1).capitalize() + "s", name.lstrip("$"))
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name.replace("-", "_"))
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def member(name):
    name = snake(name)
    return name + "_" if name in RESERVED else name


def cstr(s):
    return "NULL" if s is None else json.dumps(s, ensure_ascii=False)


class Api:
    """One file: a group-version."""

    def __init__(self, path):
        self.path, self.types, self.aliases, self.resources = path, {}, {}, []

    def head(self, group, version):
        self.group, self.version = "" if group == "core" else group, version
        label = group.split(".")[0]
        self.ref = f"{label}_{version}"                                # how other files name it
        self.prefix = version if group == "core" else self.ref         # how C does


class Type:
    def __init__(self, api, name, words, doc):
        self.api, self.name, self.doc = api, name, doc
        self.c = api.prefix + "_" + snake(name)
        self.go = f"{api.version}.{name}"
        self.lines, self.fields = [], []
        self.atomic, self.bare, self.variant = ("atomic" in words, "bare" in words, "variant" in words)
        self.union = next((w[6:] for w in words if w.startswith("union=")), None)


class Resource:
    def __init__(self, api, plural, kind, scope, doc):
        self.api, self.plural, self.kind, self.scope, self.doc = api, plural, kind, scope, doc
        self.singular, self.list, self.view, self.lazy, self.virtual = kind.lower(), None, None, False, False
        self.short, self.categories, self.verbs, self.select, self.subs, self.columns = [], [], [], [], [], []


class Field:
    pass


def words_of(line):
    """The words of a line and the description behind ' -- '. default= takes JSON that may hold blanks in quotes."""
    line, _, doc = line.partition(" -- ")
    return re.findall(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+', line), doc.strip() or None


def parse(path):
    api, block = Api(path), None
    for n, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path}:{n}"
        if not line.strip() or line.startswith("#"):
            continue
        w, doc = words_of(line)
        if line[0] == "\t":
            if isinstance(block, Type):
                block.lines.append((where, w, doc))
            elif isinstance(block, Resource):
                parse_resource_line(block, where, w)
            else:
                die(where, "not inside a type or resource")
        elif w[0] == "api":
            api.head(w[1], w[2])
        elif w[0] == "openapi":
            api.openapi = w[1]
        elif w[0] == "alias":
            go = next((x[3:] for x in w if x.startswith("go=")), f"{api.version}.{w[1]}")
            api.aliases[w[1]] = (w[2], go, [json.loads(x) if x[0] == '"' else x for x in w[3:] if "go=" not in x])
        elif w[0] == "type":
            block = api.types[w[1]] = Type(api, w[1], w[2:], doc)
        elif w[0] == "resource":
            block = Resource(api, w[1], w[2], w[3], doc)
            api.resources.append(block)
        else:
            die(where, f"what is {w[0]!r}?")
    return api


def parse_resource_line(r, where, w):
    opts = dict(x.split("=", 1) for x in w if "=" in x)
    w = [x for x in w if "=" not in x]
    if w[0] in ("short", "categories", "select"):
        setattr(r, w[0], w[1:])
    elif w[0] in ("singular", "list"):
        setattr(r, w[0], w[1])
    elif w[0] == "verbs":
        r.verbs = VERBS if w[1] == "all" else w[1:]
    elif w[0] == "lazy":
        r.lazy = True
    elif w[0] == "virtual":
        r.virtual = True
    elif w[0] == "view":
        r.view = (w[1], w[2])
    elif w[0] == "sub":
        r.subs.append((w[1], None if w[2] == "-" else w[2], w[3:], opts.get("kind")))
    elif w[0] == "column":
        r.columns.append((json.loads(w[1]), w[2], opts.get("format", ""), opts.get("priority", "0")))
    else:
        die(where, f"what is {w[0]!r}?")


class Schema:
    def __init__(self, paths):
        self.apis = [parse(pathlib.Path(p)) for p in paths]
        self.by_ref = {a.ref: a for a in self.apis}
        for t in self.all_types():
            t.fields = self.fields(t, 0)

    def all_types(self):
        return [t for a in self.apis for t in a.types.values()]

    def lookup(self, api, name, where):
        if "." in name:
            ref, name = name.split(".")
            api = self.by_ref.get(ref) or die(where, f"no file {ref}")
        return api, name

    def find_type(self, api, name, where):
        api, name = self.lookup(api, name, where)
        return api.types.get(name) or die(where, f"no type {name}")

    def resolve(self, api, expr, where, f):
        """Fills f.shape, kind, type, enums from a type expression; returns Go's name of it."""
        if expr[0] == "*":
            f.optional = True
            return self.resolve(api, expr[1:], where, f)
        if expr.startswith("[]"):
            f.shape = "LIST"
            return "[]" + self.resolve(api, expr[2:], where, f)
        m = re.fullmatch(r"map\[([^\]]+)\](.+)", expr)
        if m:
            f.shape = "MAP"
            key = Field()
            return f"map[{self.resolve(api, m[1], where, key)}]" + self.resolve(api, m[2], where, f)
        if expr in SCALARS:
            f.kind, go = SCALARS[expr][0], SCALARS[expr][3]
            return go
        owner, name = self.lookup(api, expr, where)
        if name in owner.aliases:
            inner, go, f.enums = owner.aliases[name]
            self.resolve(owner, inner, where, f)
            f.enums = f.enums or owner.aliases[name][2]
            return go
        f.type = owner.types.get(name) or die(where, f"no type {expr}")
        f.kind = "MESSAGE"
        return f.type.go

    def fields(self, t, outer, embedded=""):
        """Fields of a type, the inlined ones in place. outer: numbers of the embedding fields, a byte each."""
        out = []
        for where, w, doc in t.lines:
            if w[0] == "inline":
                number = int(w[2]) if len(w) > 2 else 0
                inner = self.find_type(t.api, "meta_v1.TypeMeta" if w[1] == "TypeMeta" else w[1], where)
                inner_fields = self.fields(inner, outer << 8 | number, embedded + inner.name + ".")
                if len(w) == 2:  # kind and apiVersion do not stand in the protobuf message
                    for f in inner_fields:
                        f.number = 0
                out += inner_fields
                continue
            f = Field()
            f.json, f.c, f.doc, f.where = w[0], member(w[0]), doc, where
            f.shape, f.kind, f.type, f.optional, f.enums = "ONE", None, None, False, []
            f.go = self.resolve(t.api, w[1], where, f)
            f.number = outer << 8 | int(w[2])
            f.flags, f.keys, f.merge_key, f.list_type, f.default = [], [], None, "NONE", None
            f.embedded = embedded.rstrip(".") or None
            if outer:
                f.flags.append("INLINE")
            self.attributes(f, w[3:])
            if f.optional:
                f.flags.append("OPTIONAL")
            if "ALWAYS" in f.flags:
                f.flags.remove("ALWAYS")
            else:
                f.flags.append("OMITEMPTY")
            out.append(f)
        return out

    @staticmethod
    def attributes(f, words):
        for w in words:
            key, _, value = w.partition("=")
            if w in FLAG_WORDS:
                f.flags.append(FLAG_WORDS[w])
            elif key == "map":
                f.list_type, f.keys = "MAP", value.split(",")
            elif key == "list":
                f.list_type = value.upper()
            elif key == "patch":
                f.flags += [PATCH[v] for v in value.split(",")]
            elif key == "key":
                f.merge_key = value
            elif key == "default":
                json.loads(value)
                f.default = value
            else:
                die(f.where, f"what is {w!r}?")


def c_type(f):
    """The C declaration of a field's member: type and name."""
    scalar = next((v for v in SCALARS.values() if v[0] == f.kind), None)
    if f.shape == "LIST":
        return (scalar[2] if scalar else f"struct {f.type.c}_vec") + " " + f.c
    if f.shape == "MAP":
        if f.kind in STRINGS:
            return f"struct str_map {f.c}"
        if f.kind in TIMES:
            return f"struct k8s_time_map {f.c}"
        if f.kind != "MESSAGE":
            die(f.where, "no C type for this map")
        return f"struct {f.type.c}_map {f.c}"
    base = scalar[1] if scalar else f"struct {f.type.c}"
    return base + (" *" if f.optional and f.kind not in STRINGS | TIMES else " ") + f.c


def by_value(t):
    return [f.type for f in t.fields if f.kind == "MESSAGE" and f.shape == "ONE" and not f.optional]


def ordered(types):
    """Types, each after those it holds by value."""
    done, out = set(), []

    def visit(t):
        if t in done:
            return
        done.add(t)
        for u in by_value(t):
            visit(u)
        out.append(t)

    for t in types:
        visit(t)
    return out


def write_header(schema, out):
    types = schema.all_types()
    in_maps = {f.type for t in types for f in t.fields if f.shape == "MAP" and f.kind == "MESSAGE"}
    p = lambda *a: print(*a, file=out)
    p("/* Generated by tools/schemagen.py from schema/; src/schema/schema.h says how to read it. */")
    p("#ifndef SAMPAN_TYPES_GEN_H\n#define SAMPAN_TYPES_GEN_H\n\n#include \"schema/schema.h\"\n")
    for t in types:
        p(f"struct {t.c}_vec {{\n\tstruct {t.c} *v;\n\tsize_t n;\n}};")
        if t in in_maps:
            p(f"struct {t.c}_map {{\n\tstruct {t.c}_pair *v;\n\tsize_t n;\n}};")
    for t in ordered(types):
        p(f"\nstruct {t.c} {{")
        for f in t.fields:
            p(f"\t{c_type(f)};")
        p("};")
        if t in in_maps:
            p(f"struct {t.c}_pair {{\n\tstruct str key;\n\tstruct {t.c} value;\n}};")
    p()
    for t in types:
        p(f"extern const struct schema_type {t.c}_schema;")
    for r in (r for a in schema.apis for r in a.resources):
        p(f"extern const struct schema_resource {resource_name(r)};")
    p("\n#endif")


def resource_name(r):
    return f"{r.api.prefix}_{snake(r.kind)}_resource"


def default_go(f):
    base = f.type.go if f.type else next(v[3] for v in SCALARS.values() if v[0] == f.kind)
    return {"ONE": "", "LIST": "[]", "MAP": "map[string]"}[f.shape] + base


def strings(words):
    return "(const char *const[]){" + ", ".join([cstr(w) for w in words] + ["NULL"]) + "}" if words else "NULL"


def write_field(p, t, f):
    extra = {"dflt": cstr(f.default) if f.default is not None else None,
             "enums": strings(f.enums) if f.enums else None,
             "list_keys": strings(f.keys) if f.keys else None,
             "merge_key": cstr(f.merge_key) if f.merge_key else None,
             "go_type": cstr(f.go) if f.go != default_go(f) else None,
             "embedded": cstr(f.embedded) if f.embedded else None,
             "description": cstr(f.doc) if f.doc else None}
    extra = ", ".join(f".{k} = {v}" for k, v in extra.items() if v)
    extra = f"&(const struct schema_extra){{{extra}}}" if extra else "NULL"
    flags = " | ".join("SCHEMA_" + x for x in f.flags) or "0"
    kind = f"&{f.type.c}_schema" if f.type else "NULL"
    p(f'\t{{{cstr(f.json)}, {len(f.json)}, offsetof(struct {t.c}, {f.c}), {f.number}, {flags}, SCHEMA_{f.kind}, '
      f"SCHEMA_{f.shape}, SCHEMA_LIST_{f.list_type}, {kind}, {extra}}},")


def write_type(p, t):
    n = len(t.fields)
    if n > 64:
        die(t.name, "more than 64 fields: the decoder's set of seen ones is too small")
    if n:
        p(f"static const struct schema_field {t.c}_fields[] = {{")
        for f in t.fields:
            write_field(p, t, f)
        p("};")
        names = sorted(range(n), key=lambda i: t.fields[i].json.encode())
        p(f"static const uint16_t {t.c}_by_name[] = {{" + ", ".join(map(str, names)) + "};")
    flags = [x for x, on in (("ATOMIC", t.atomic), ("BARE", t.bare), ("VARIANT", t.variant)) if on]
    p(f"const struct schema_type {t.c}_schema = {{{cstr(t.api.openapi + '.' + t.name)}, {cstr(t.go)}, {cstr(t.c)}, "
      f"{cstr(t.union)}, {cstr(t.doc)}, sizeof(struct {t.c}), {n}, {' | '.join('SCHEMA_' + x for x in flags) or 0}, "
      + (f"{t.c}_fields, {t.c}_by_name}};" if n else "NULL, NULL};"))


def verb_mask(verbs):
    return " | ".join("VERB_" + v.upper() for v in verbs) or "0"


def write_resource(schema, p, r, index):
    c = resource_name(r)
    subs = []
    for name, body, verbs, kind in r.subs:
        t = schema.find_type(r.api, body, r.plural) if body else None
        other = t and t.api is not r.api
        subs.append(f'\t{{{cstr(name)}, {cstr(t.name if t else kind)}, {cstr(t.api.group) if other else "NULL"}, '
                    f'{cstr(t.api.version) if other else "NULL"}, {f"&{t.c}_schema" if t else "NULL"}, {verb_mask(verbs)}}},')
    if subs:
        p(f"static const struct schema_subresource {c}_subs[] = {{")
        p("\n".join(subs) + "\n};")
    if r.columns:
        p(f"static const struct schema_column {c}_columns[] = {{")
        for name, kind, fmt, priority in r.columns:
            p(f'\t{{{cstr(name)}, {cstr(kind)}, {cstr(fmt)}, "", {priority}}},')
        p("};")
    t = schema.find_type(r.api, r.kind, r.plural)
    lt = schema.find_type(r.api, r.list, r.plural) if r.list else None
    stored = next((x for x in schema.by_ref[r.view[0]].resources if x.plural == r.view[1]), None) if r.view else r
    row = {
        "group": cstr(r.api.group), "version": cstr(r.api.version), "kind": cstr(r.kind), "list_kind": cstr(r.list),
        "plural": cstr(r.plural), "singular": cstr(r.singular), "short_names": strings(r.short),
        "categories": strings(r.categories), "namespaced": str(r.scope == "namespaced").lower(),
        "lazy": str(r.lazy).lower(), "has_status": str(any(s[0] == "status" for s in r.subs)).lower(),
        "storage": str(r.view is None and not r.virtual).lower(), "verbs": verb_mask(r.verbs), "type": f"&{t.c}_schema",
        "list_type": f"&{lt.c}_schema" if lt else "NULL", "storage_resource": "&" + resource_name(stored),
        "subresources": f"{c}_subs" if subs else "NULL", "n_subresources": len(subs),
        "columns": f"{c}_columns" if r.columns else "NULL", "n_columns": len(r.columns),
        "selectable": strings(r.select), "index": index}
    p(f"const struct schema_resource {c} = {{")
    for k, v in row.items():
        p(f"\t.{k} = {v},")
    p("};")


def write_tables(schema, out):
    p = lambda *a: print(*a, file=out)
    p('/* Generated by tools/schemagen.py from schema/. */\n#include "types.gen.h"\n')
    types = schema.all_types()
    for t in types:
        write_type(p, t)
    resources = [r for a in schema.apis for r in a.resources]
    for i, r in enumerate(resources):
        write_resource(schema, p, r, i)
    p("const struct schema_resource *const schema_resources[] = {")
    for r in resources:
        p(f"\t&{resource_name(r)},")
    p("};\nconst size_t schema_n_resources = ARRAY_SIZE(schema_resources);")
    p("const struct schema_type *const schema_types[] = { /* by name */")
    for t in sorted(types, key=lambda t: (t.api.openapi + "." + t.name).encode()):
        p(f"\t&{t.c}_schema,")
    p("};\nconst size_t schema_n_types = ARRAY_SIZE(schema_types);")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--out", required=True)
    args.add_argument("files", nargs="*")
    args = args.parse_args()
    schema, out = Schema(args.files), pathlib.Path(args.out)
    with open(out / "types.gen.h", "w") as f:
        write_header(schema, f)
    with open(out / "tables.gen.c", "w") as f:
        write_tables(schema, f)


if __name__ == "__main__":
    main()
