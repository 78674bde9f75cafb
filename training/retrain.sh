#!/usr/bin/env bash
# Renders the training data, trains all six demo networks and judges them: retrain.sh WORKPLACE PYTHON PYTHON37
# WORKPLACE takes the data (about 1.3 GB) and, in weights/, the new networks; copy those to
# iblvideo_admin/demo/weights yourself if the table is good.
set -euo pipefail

if [[ $# -ne 3 ]]; then
  echo "usage: $0 WORKPLACE PYTHON PYTHON37" >&2
  exit 2
fi
place=$1 python=$2 python37=$3
here=$(cd "$(dirname "$0")" && pwd)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

"$python" "$here/crops.py" "$place"
for network in nose_tip eye paws tongue tail_start roi_detect; do
  "$python37" "$here/train.py" "$place" "$place/weights" "$network" --threads "$OMP_NUM_THREADS"
done
"$python" "$here/judge.py" "$place/weights" "$python37"
