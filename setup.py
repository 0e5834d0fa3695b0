"Packaging: everything that is said here is read from settings.ini, which nbdev reads too."
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).resolve().parent
config = ConfigParser(delimiters="=")
config.read_string((here / "settings.ini").read_text(encoding="utf-8"))
cfg = config["DEFAULT"]
oldest, newest = (int(cfg[key].split(".")[1]) for key in ("min_python", "max_python"))


def description():
    "README.md as an index shows it, away from the repository: every link and picture by its whole address."
    text = (here / "README.md").read_text(encoding="utf-8").split("-->\n", 1)[-1].lstrip()
    def absolute(m): return f"{m[1]}({cfg['git_url']}/{'raw' if m[1][0] == '!' else 'blob'}/{cfg['branch']}/{m[2]})"
    return re.sub(r"(!?\[[^\[\]]*\])\((?!https?:)([^)]+)\)", absolute, text)


setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=description(),
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    url=cfg["git_url"],
    project_urls={
        "Documentation": cfg["doc_host"] + cfg["doc_baseurl"],
        "Source": cfg["git_url"],
        "Changes": f"{cfg['git_url']}/blob/{cfg['branch']}/CHANGELOG.md",
        "Issues": f"{cfg['git_url']}/issues",
    },
    keywords=cfg["keywords"].split(),
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=f">={cfg['min_python']}",
    packages=find_packages(include=["adapool", "adapool.*"]),
    package_data={"adapool": ["py.typed", "explore/live.*"]},
    install_requires=cfg["requirements"].split(),
    extras_require={key.removesuffix("_requirements"): cfg[key].split()
                    for key in cfg if key.endswith("_requirements")},
    entry_points={"nbdev": ["adapool=adapool._modidx:d"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Intended Audience :: Education",
        "Intended Audience :: Science/Research",
        "Natural Language :: English",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in range(oldest, newest + 1)),
    ],
)
