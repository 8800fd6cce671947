#!/usr/bin/env python3
"""gen_docs.py SAMPAN OUT: man pages and completions from what the programs say about themselves.

Each program's flags come from its --help; what they are for, from man/NAME.txt (plain paragraphs under upper-case headings,
optional). OUT gets man/NAME.1, bash/sampan and zsh/_sampan.
"""
import datetime, os, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
BY_NAME = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"]


def ask(*args):
    return subprocess.run([SAMPAN, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20).stdout


def commands():
    """[(name, what it does)], as `sampan help` lists them."""
    return re.findall(r"^  (\S+) +(.+)$", ask("help"), re.M)


def flags(command):
    """[(heading, [(flag, value name or "", help)])] from --help."""
    groups, heading, rows = [], "", []
    lines = ask(command, "--help").splitlines()
    i = 0
    while i < len(lines):
        line = lines[i]
        m = re.match(r"^  (?:-\w, )?--(\S+)(?: (.+))?$", line)
        if m:
            text = lines[i + 1].strip() if i + 1 < len(lines) and lines[i + 1].startswith("        ") else ""
            rows.append((m[1], (m[2] or "").strip(), text))
            i += 1 if text else 0
        elif re.match(r"^[A-Z].*:$", line):
            if rows:
                groups.append((heading, rows))
            heading, rows = line[:-1], []
        i += 1
    if rows:
        groups.append((heading, rows))
    return groups


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in ".'" else text


def prose(name):
    """The paragraphs of man/NAME.txt as roff, by heading."""
    path, out, heading = os.path.join(HERE, "man", name + ".txt"), {}, "DESCRIPTION"
    if not os.path.exists(path):
        return out
    for block in open(path).read().strip().split("\n\n"):
        first, _, rest = block.partition("\n")
        if first.isupper():
            heading, block = first, rest
        if not block:
            continue
        if block.startswith("    "):
            made = ".PP\n.nf\n" + "\n".join(roff(l) for l in block.splitlines()) + "\n.fi"
        else:
            made = ".PP\n" + roff(" ".join(block.split()))
        out.setdefault(heading, []).append(made)
    return out


def flag_section(groups):
    out = []
    for heading, rows in groups:
        if heading:
            out.append(f".SS {roff(heading)}")
        for name, value, text in rows:
            out.append(f".TP\n\\fB\\-\\-{roff(name)}\\fR" + (f" \\fI{roff(value)}\\fR" if value else ""))
            out.append(roff(text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")) if text else ".")
    return out


def page(name, short, synopsis, groups, texts, date, others):
    out = [f'.TH {name.upper()} 1 "{date}" "sampan {VERSION}" "Kubernetes"', ".SH NAME", f"{roff(name)} \\- {roff(short)}",
           ".SH SYNOPSIS", synopsis, ".SH DESCRIPTION", *texts.pop("DESCRIPTION", [".PP\n" + roff(short[:1].upper() + short[1:] + ".")])]
    tail = [(h, texts.pop(h)) for h in ("FILES", "EXIT STATUS", "EXAMPLES") if h in texts]
    for heading, blocks in texts.items():
        out += [f".SH {heading}", *blocks]
    out += groups
    for heading, blocks in tail:
        out += [f".SH {heading}", *blocks]
    out += [".SH SEE ALSO", ", ".join(f"\\fB{roff(o)}\\fR(1)" for o in others if o != name)]
    return "\n".join(out) + "\n"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def completions(table):
    """table: {command: [flag …]}"""
    cases = "\n".join(f"    {c}) words=\"{' '.join('--' + f for f in fl)}\" ;;" for c, fl in table.items())
    bash = f"""# completion of sampan and of Kubernetes' programs by name
_sampan() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} command=${{COMP_WORDS[0]##*/}} words=
  COMPREPLY=()
  if [ "$command" = sampan ]; then
    if [ "$COMP_CWORD" = 1 ]; then
      COMPREPLY=($(compgen -W "{' '.join(table)} help version" -- "$cur"))
      return
    fi
    command=${{COMP_WORDS[1]}}
  fi
  case $command in
{cases}
  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  else
    compopt -o default 2>/dev/null
  fi
}}
complete -F _sampan sampan {' '.join(BY_NAME)}
"""
    zcases = "\n".join("    " + c + ") flags=(" + " ".join("'--" + f + "'" for f in fl) + ") ;;" for c, fl in table.items())
    zsh = f"""#compdef sampan {' '.join(BY_NAME)}
# completion of sampan and of Kubernetes' programs by name
_sampan() {{
  local command=${{words[1]:t}}
  local -a flags
  if [[ $command == sampan ]]; then
    if (( CURRENT == 2 )); then
      compadd {' '.join(table)} help version
      return
    fi
    command=$words[2]
  fi
  case $command in
{zcases}
  esac
  if [[ $PREFIX == -* ]]; then
    compadd -- $flags
  else
    _files
  fi
}}
_sampan "$@"
"""
    return bash, zsh


def main():
    out, date = sys.argv[2], datetime.datetime.utcfromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")) or datetime.datetime.now().timestamp())
    date = date.strftime("%Y-%m-%d")
    shorts, table, others = dict(commands()), {}, ["sampan", *BY_NAME]
    main_flags = []
    for name, short in shorts.items():
        groups = flags(name)
        table[name] = [f for _, rows in groups for f, _, _ in rows]
        if name in BY_NAME:
            text = page(name, short, f"\\fB{roff(name)}\\fR [\\fIflags\\fR]", [".SH OPTIONS", *flag_section(groups)], prose(name), date, others)
            write(f"{out}/man/{name}.1", text)
        elif name != "version":
            main_flags += [f".SS sampan {roff(name)}", roff(short[:1].upper() + short[1:] + "."),
                           *[l for l in flag_section([("", rows) for _, rows in groups])]]
    text = page("sampan", "Kubernetes in one small program", "\\fBsampan\\fR \\fIcommand\\fR [\\fIflags\\fR]", [".SH COMMANDS", *main_flags],
                prose("sampan"), date, others)
    write(f"{out}/man/sampan.1", text)
    bash, zsh = completions(table)
    write(f"{out}/bash/sampan", bash)
    write(f"{out}/zsh/_sampan", zsh)


SAMPAN = os.path.abspath(sys.argv[1])
VERSION = re.search(r"sampan (\S+)", ask("version"))[1]
main()
