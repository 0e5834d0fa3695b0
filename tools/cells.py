"What becomes of a cell on its way into the package."

import ast
import re

from nbdev.maker import update_import


def exported(source, module=""):
    "The source of a cell as nbdev exports it into adapool.`module`."
    text = "\n".join(line for line in source.splitlines() if not re.match(r"\s*#\s*\|", line)).strip()
    changed = update_import(text, ast.parse(text).body, "/".join(["adapool", *module.split(".")[:-1]]))
    return "".join(changed or [text])
