"""Makes the modules beside the training script importable, as they are for the script."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "curve_network"))
