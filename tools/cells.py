"What becomes of a cell on its way into the package."

import re


def exported(source):
    "The source of a cell as nbdev exports it."
    text = "\n".join(line for line in source.splitlines() if not re.match(r"\s*#\s*\|", line)).strip()
    return re.sub(r"from adapool import", "from . import", text.replace("from adapool.", "from ."))
