"""Makes ``build/jupyterlite``: a JupyterLite site whose kernels have this package, and need no CDN.

The kernel boots from a Pyodide of the site's own, made as the demo's is. Our wheel is in its lock file: so
``%pip install pynet-browser`` finds it, and a plain ``import pynet_browser`` does too. What is not there,
``%pip`` takes from PyPI.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from demo.distribution import OUTPUT as DEMO_PYODIDE
from demo.distribution import ROOT, make_distribution

NOTEBOOKS = ROOT / "demo" / "jupyterlite"
PYODIDE = ROOT / "build" / "jupyterlite-pyodide"
SITE = ROOT / "build" / "jupyterlite"

# What JupyterLite's kernel imports, in the versions that Pyodide of this release has.
KERNEL_PACKAGES = {
    "comm": "0.2.3",
    "ipython": "9.12.0",
    "asttokens": "3.0.1",  # for stack-data
    "decorator": "5.2.1",  # for ipython
    "executing": "2.2.1",  # for stack-data
    "ipython-pygments-lexers": "1.1.1",  # for ipython
    "jedi": "0.19.2",  # for ipython
    "matplotlib-inline": "0.2.1",  # for ipython
    "parso": "0.8.6",  # for jedi
    "prompt-toolkit": "3.0.52",  # for ipython
    "pure-eval": "0.2.3",  # for stack-data
    "pygments": "2.20.0",  # for ipython
    "stack-data": "0.6.3",  # for ipython
    "traitlets": "5.14.3",  # for ipython
    "wcwidth": "0.6.0",  # for prompt-toolkit
}


def main() -> None:
    """Builds the site anew, and says what it does."""
    ours = sorted((ROOT / "dist").glob("pynet_browser-*.whl"))
    if len(ours) != 1 or not DEMO_PYODIDE.is_dir():
        sys.exit("The site holds our wheel and the demo's packages: `make jupyterlite` builds these first.")
    local = [*DEMO_PYODIDE.glob("*.whl"), *ours]
    make_distribution(PYODIDE, KERNEL_PACKAGES, local)
    # JupyterLite notes beside its sources what it has done, and would leave that out of a site made anew.
    with TemporaryDirectory() as project:
        build_site(Path(project))
    print(f"JupyterLite is in {SITE.relative_to(ROOT)}: `make demo` serves it, and so does any web server")


def build_site(project: Path) -> None:
    """Has JupyterLite make the site, from what it looks for in its project: static/pyodide and files."""
    (project / "static").mkdir()
    (project / "static" / "pyodide").symlink_to(PYODIDE)
    (project / "files").mkdir()
    for notebook in NOTEBOOKS.glob("*.ipynb"):
        shutil.copy(notebook, project / "files")
    print("building the JupyterLite site", flush=True)
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "jupyterlite_core", "build", "--no-sourcemaps"]
    command += [f"--lite-dir={project}", f"--output-dir={SITE}"]
    built = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        sys.exit(built.stdout + built.stderr)


if __name__ == "__main__":
    main()
