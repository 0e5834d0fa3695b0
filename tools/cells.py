"What becomes of a cell on its way into the package."

import re
from itertools import takewhile


def relative(name, package):
    "What a room in the folder `package`, as [\"kernels\"], calls adapool.`name`."
    parts = name.split(".") if name else []
    shared = len([*takewhile(lambda pair: pair[0] == pair[1], zip(parts[:-1], package))])
    return "." * (1 + len(package) - shared) + ".".join(parts[shared:])


def exported(source, module=""):
    "The source of a cell as nbdev exports it into adapool.`module`."
    package = module.split(".")[:-1]
    text = "\n".join(line for line in source.splitlines() if not re.match(r"\s*#\s*\|", line)).strip()
    return re.sub(r"from adapool\b\.?([\w.]*) import", lambda m: f"from {relative(m[1], package)} import", text)
