"""Build the wheel, install it into an empty environment and train there.

Fails when the wheel is not `py3-none-any`, is 2 MB or more, or does not train. The import time is
printed, not judged: the machine may be busy.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

MAX_BYTES = 2_000_000
ROOT = Path(__file__).resolve().parent.parent

IMPORT_SECONDS = """
from time import perf_counter
start = perf_counter()
import lamina
print(perf_counter() - start)
"""

TRAINING = """
import lamina, lamina.nn.functional as F
from lamina import nn, optim
lamina.manual_seed(0)
x = lamina.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [2.0, 1.0]])
y = lamina.tensor([[1.0], [2.0], [3.0], [5.0]])
model = nn.Linear(2, 1)
opt = optim.SGD(model.parameters(), lr=0.1)
losses = []
for _ in range(50):
    opt.zero_grad(); loss = F.mse_loss(model(x), y); loss.backward(); opt.step()
    losses.append(loss.item())
print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f} with lamina {lamina.__version__}")
raise SystemExit(not losses[-1] < 0.1 * losses[0])
"""


def build_wheel(folder: Path) -> Path:
    """Return the wheel of this tree, built into `folder`."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def check_wheel(wheel: Path) -> None:
    """Exit with a message when the wheel is too large or tied to a platform."""
    size = wheel.stat().st_size
    print(f"{wheel.name}: {size:,} bytes")
    if not wheel.name.endswith("-py3-none-any.whl"):
        sys.exit(f"{wheel.name}: expected a py3-none-any wheel")
    if size >= MAX_BYTES:
        sys.exit(f"{wheel.name}: {size:,} bytes; the limit is {MAX_BYTES:,}")


def try_wheel(wheel: Path, folder: Path) -> None:
    """Install `wheel` into a new environment under `folder`, time its import and train."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    times = [float(run(python, folder, IMPORT_SECONDS)) for _ in range(6)]
    print(f"import lamina: first {times[0]:.3f} s, best of 5 after it {min(times[1:]):.3f} s")
    print(run(python, folder, TRAINING))


def run(python: Path, folder: Path, code: str) -> str:
    """Return what `code` prints, run in `folder` so that the source tree is out of sight."""
    command = [python, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=folder, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(
            f"the wheel failed in an empty environment, after printing: {done.stdout or 'nothing'}"
        )
    return done.stdout.strip()


def main() -> None:
    """Build, check and try the wheel."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build_wheel(folder)
        check_wheel(wheel)
        try_wheel(wheel, folder)


if __name__ == "__main__":
    main()
