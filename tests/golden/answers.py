"""Make answers.json: what mien-open answers for the faces of the sample portraits.

Run: python tests/golden/answers.py

Its weights are not ours and never change; an answer that does means that the chips or the graph have changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mien

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
MODEL = "mien-open"


def answers() -> dict[str, dict[str, Any]]:
    """Age, interval, and probability of the gender of the largest face of each portrait, by file."""
    analyzer = mien.load(MODEL, max_faces=1)
    found = {}
    for path in sorted(EXAMPLES.glob("*.jpg")):
        (face,) = analyzer(path).faces
        found[path.name] = {
            "years": round(face.age.years, 2),
            "low": round(face.age.low, 1),
            "high": round(face.age.high, 1),
            "gender": face.gender.label,
            "probability": round(face.gender.probability, 3),
        }
    return found


if __name__ == "__main__":
    (HERE / "answers.json").write_text(json.dumps({MODEL: answers()}, indent=2) + "\n")
