"""Times the models of an exported `LatencyJob`, on the device that it was copied to."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

from optuna_nas.profiling.measure import CPU
from optuna_nas.profiling.timing import time_models

JOB_FILE = "job.json"
RESULT_FILE = "measurements.json"
PACKAGE_FILE = "measuring.zip"
SCRIPT_FILE = "measure.py"
SCRIPT = f'''\
"""Times the ONNX models in this folder; needs Python 3.10, onnxruntime and numpy, no more.

    python {SCRIPT_FILE}                  # writes {RESULT_FILE}; then bring that file back
    python {SCRIPT_FILE} --seconds 0.2    # a steadier measurement of every model
"""
import sys
from pathlib import Path

folder = Path(__file__).resolve().parent
sys.path.insert(0, str(folder / "{PACKAGE_FILE}"))
from optuna_nas.profiling.on_device import main

main(folder)
'''


def main(folder: Path) -> None:
    """Times the models of a folder, as its script asks for."""
    parser = argparse.ArgumentParser(description="Time the ONNX models in this folder.")
    parser.add_argument("--seconds", type=float, default=0.04, help="a model and pass (0.04)")
    parser.add_argument("--passes", type=int, default=2, help="over all models (2)")
    parser.add_argument("--threads", type=int, default=1, help="threads inside an operator (1)")
    parser.add_argument("--provider", default=CPU, help=f"execution provider ({CPU})")
    options = parser.parse_args()
    files: dict[str, str] = json.loads((folder / JOB_FILE).read_text("utf-8"))["models"]
    times = time_models(
        {name: partial(Path, folder, file) for name, file in files.items()},
        **vars(options),
        progress=lambda text: print(text, flush=True),
    )
    out = folder / RESULT_FILE
    state = {"provenance": dict(times.provenance), "times_ms": dict(times.ms)}
    out.write_text(json.dumps(state, indent=1), "utf-8")
    print(f"wrote {out}")
