"Packaging: everything that is said here is read from settings.ini, which nbdev reads too."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).resolve().parent
config = ConfigParser(delimiters="=")
config.read_string((here / "settings.ini").read_text(encoding="utf-8"))
cfg = config["DEFAULT"]
oldest, newest = (int(cfg[key].split(".")[1]) for key in ("min_python", "max_python"))

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    url=cfg["git_url"],
    keywords=cfg["keywords"].split(),
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=f">={cfg['min_python']}",
    packages=find_packages(include=["adapool", "adapool.*"]),
    install_requires=cfg["requirements"].split(),
    extras_require={extra: cfg[f"{extra}_requirements"].split()
                    for extra in ("dev", "onnx", "explore", "bench", "site", "browser")},
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
