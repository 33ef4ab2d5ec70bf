#!/usr/bin/env bash
# Makes the virtual environment $VENV ready, and returns at once when it already is.
# With a ROS 2 sourced it builds on that one (and its NumPy 1); else ROS 2 comes from wheels.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv="${VENV:-.venv}"

fail() {
  echo "setup: $1" >&2
  exit 2
}

# The interpreter behind a name, outside any virtual environment; nothing when it does not serve.
interpreter() {
  "$1" - <<'PY' 2>/dev/null || true
import sys
if (3, 10) <= sys.version_info[:2] <= (3, 13):
    print(sys._base_executable)
PY
}

python=""
if [[ -n "${ROS_DISTRO:-}" ]] && python3 -c "import rclpy" 2>/dev/null; then
  ros="$ROS_DISTRO"
  python="$(interpreter python3)"
  [[ -n "$python" ]] || fail "ROS 2 $ROS_DISTRO runs on $(python3 -V); otoc_ros needs Python 3.10-3.13"
else
  ros="wheels"
  for name in ${PYTHON:-python3 python3.12 python3.11 python3.13 python3.10}; do
    python="$(interpreter "$name")"
    [[ -z "$python" ]] || break
  done
  [[ -n "$python" ]] || fail "no ${PYTHON:-Python 3.10-3.13} found; install it: sudo apt install python3"
fi

numpy="${NUMPY:-$([[ "$ros" == wheels ]] && echo 2 || echo 1)}" # ROS builds its messages on NumPy 1
[[ "$numpy" == [12] ]] || fail "NUMPY is $numpy; set it to 1 or 2"
extras="train,cpu,label,import,test"
[[ "$ros" != wheels ]] || extras="$extras,ros-dev"

version="$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')"
stamp="$(
  {
    echo "$version $ros $numpy $extras"
    cat setup.py setup.cfg pyproject.toml constraints*.txt tools/setup_venv.sh
    [[ ! -d native ]] || find native -name "*.[ch]*" -type f | LC_ALL=C sort | xargs cat
  } | sha256sum | cut -d " " -f 1
)"
[[ "$(cat "$venv/.stamp" 2>/dev/null)" != "$stamp" ]] || exit 0

found="$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true)"
shared="$([[ "$ros" == wheels ]] && echo false || echo true)"
if [[ "$found" != "$version" ]] ||
  ! grep -q "include-system-site-packages = $shared" "$venv/pyvenv.cfg"; then
  "$python" -c "import ensurepip, venv" 2>/dev/null ||
    fail "$python lacks its venv module; install it: sudo apt install python$version-venv"
  options=(--clear)
  [[ "$shared" == false ]] || options+=(--system-site-packages)
  echo "setup: making $venv with Python $version, ROS 2 from ${ros}"
  "$python" -m venv "${options[@]}" "$venv"
fi
touch "$venv/COLCON_IGNORE"

constraints="constraints.txt"
if [[ "$numpy" == 1 ]]; then
  constraints="$venv/constraints.txt"
  {
    cat constraints-numpy1.txt
    awk -F "==" 'NR == FNR { replaced[$1]; next } !($1 in replaced)' \
      constraints-numpy1.txt constraints.txt
  } >"$constraints"
fi
echo "setup: installing the pinned packages into $venv (some minutes the first time)"
PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -m pip install --quiet --progress-bar on \
  --constraint "$constraints" --editable ".[$extras]" ||
  fail "pip could not install the packages; see its message above, then call make again"
echo "$stamp" >"$venv/.stamp"
