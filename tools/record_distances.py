"""Record face_recognition's distances on clips that cannot be shipped: figures, no pictures.

    pip install av dlib-bin face_recognition "setuptools<81"
    python tools/record_distances.py CLIP...

For each clip: the largest face that face_recognition's HOG detector finds in each frame, its
rectangle as dlib has it, and its distance to that of the first frame that has one. Written to
tests/data/face_recognition_distances.json, where whoever has a clip (its sha256 is there too) can
compare with their own figures on the frames that both find a face in.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "tests" / "data" / "face_recognition_distances.json"


def distances(clip: Path) -> dict[str, Any]:
    """The record of one clip."""
    import av
    import face_recognition
    import numpy as np

    reference = None
    rows: list[list[float]] = []
    frames = 0
    with av.open(str(clip)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            frames += 1
            image = np.ascontiguousarray(frame.to_ndarray(format="rgb24"))
            boxes = face_recognition.face_locations(image)
            if not boxes:
                continue
            top, right, bottom, left = max(boxes, key=lambda box: (box[1] - box[3], -box[3]))
            (embedding,) = face_recognition.face_encodings(image, [(top, right, bottom, left)])
            reference = embedding if reference is None else reference
            distance = float(np.linalg.norm(embedding - reference))
            rows.append([index, left, top, right, bottom, round(distance, 5)])
    return {
        "sha256": hashlib.sha256(clip.read_bytes()).hexdigest(),
        "frames": frames,
        "frames_with_face": len(rows),
        "reference_frame": rows[0][0] if rows else None,
        "mean_distance": sum(row[-1] for row in rows[1:]) / (len(rows) - 1) if rows[1:] else None,
        "columns": ["frame", "left", "top", "right", "bottom", "distance"],
        "rows": rows,
    }


def as_text(records: dict[str, Any]) -> str:
    """JSON with a line a frame: short, and a change is seen where it is."""
    text = json.dumps(records, indent=1)
    return re.sub(r"\[\s+(-?\d[^\]]*)\]", lambda row: f"[{' '.join(row[1].split())}]", text) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    records = {clip.name: distances(clip) for clip in parser.parse_args().clips}
    FILE.write_text(as_text(records), encoding="utf-8")
    for name, record in records.items():
        sys.stdout.write(
            f"{name}: {record['frames_with_face']} of {record['frames']} frames, "
            f"mean distance {record['mean_distance']}\n"
        )


if __name__ == "__main__":
    main()
