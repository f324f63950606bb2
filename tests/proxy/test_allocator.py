from __future__ import annotations

import subprocess
import sys

from tests.proxy.process import ROOT

PROGRAM = """
import gc
from pynet_browser.proxy.allocator import COLLECT_AFTER, collect_seldom, keep_freed_memory

class Knot:
    def __init__(self):
        self.itself = self

keep_freed_memory()
collect_seldom()
frozen = gc.get_freeze_count()
assert gc.get_threshold() == COLLECT_AFTER
knots = [Knot() for _ in range(1000)]
del knots
assert gc.collect() >= 1000  # what is made later is collected as ever
assert gc.get_freeze_count() >= frozen > 1000
"""


def test_what_is_there_at_the_start_is_not_looked_at_again_and_all_else_is_collected():
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, check=True, timeout=30)
