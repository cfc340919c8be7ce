"""The pack: what a machine without Debian's packages needs to build and test the engine, in one compressed file.

Made on Debian 12 from the packages themselves; unpacked, it is a folder that CMake takes as a prefix:

  usr/         headers, libraries, CMake and pkg-config files, the program pkgconf
  golden/      the golden fixtures, where there were any
  python/      nanobind, which the Python package is built with
  pack.json    versions of the packages, and the commit that was checked out
  pkg-config, pack.cmake     made by unpack: they hold the folder's own path

    cmake --preset cuda -C FOLDER/pack.cmake

The compiler, CMake, ninja, CUDA and Python are the machine's own. Its C library must be as new as Debian 12's.
"""

import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile

LIMIT_BYTES = 40 << 20
TRIPLET = "x86_64-linux-gnu"
LIBRARIES = f"usr/lib/{TRIPLET}"
OPENBLAS = f"{LIBRARIES}/openblas-pthread"

PACKAGES = ("libfmt-dev", "libfmt9", "libcli11-dev", "libtomlplusplus-dev", "libtomlplusplus3", "nlohmann-json3-dev",
            "libopenblas-pthread-dev", "libopenblas0-pthread", "libgfortran5", "libquadmath0", "librandom123-dev",
            "libxxhash-dev", "libxxhash0", "zlib1g-dev", "zlib1g", "libzstd-dev", "libzstd1", "robin-map-dev",
            "libboost1.74-dev", "catch2", "libbenchmark-dev", "libbenchmark1debian", "pkgconf-bin", "libpkgconf3")
KEPT = re.compile(r"^usr/(include|lib|share/(cmake|pkgconfig|[^/]*/cmake))/|^usr/bin/pkgconf$")
# The parts of Boost that Boost.Math includes.
BOOST = ("assert|concept|config|container|core|detail|exception|iterator|lexical_cast|math|move|mpl|numeric|predef|"
         "preprocessor|range|smart_ptr|type_traits|utility")
# OpenBLAS twice over: as archives, and under the names of BLAS and LAPACK. The rest of Boost: 140 MB.
LEFT_OUT = re.compile(r"/openblas-pthread/(lib(blas|lapack)\.|.*\.a$)"
                      rf"|^usr/include/boost/(?!({BOOST})/)[^/]*/|/cmake/[Bb]oost")
NEEDED_FILES = ("usr/include/fmt/format.h", "usr/include/CLI/CLI.hpp", "usr/include/toml++/toml.h",
                "usr/include/nlohmann/json.hpp", "usr/include/Random123/philox.h", "usr/include/xxhash.h",
                "usr/include/zlib.h", "usr/include/zstd.h", "usr/include/tsl/robin_map.h", f"{LIBRARIES}/libz.so",
                "usr/include/boost/math/distributions/students_t.hpp",
                "usr/include/catch2/catch.hpp", "usr/include/benchmark/benchmark.h", "usr/bin/pkgconf",
                f"{OPENBLAS}/libopenblas.so", f"{OPENBLAS}/pkgconfig/openblas.pc", f"{LIBRARIES}/pkgconfig/libxxhash.pc",
                f"{LIBRARIES}/pkgconfig/tomlplusplus.pc", f"{LIBRARIES}/pkgconfig/zlib.pc", f"{LIBRARIES}/pkgconfig/libzstd.pc")
# What every machine with a C++ compiler has.
OF_THE_MACHINE = re.compile(r"^(libc|libm|libstdc\+\+|libgcc_s|libpthread|librt|libdl|ld-linux-x86-64)\.so")


class PackError(Exception):
    """One sentence for the user."""


def installed_version(package):
    found = subprocess.run(["dpkg-query", "-W", "-f=${db:Status-Status} ${Version}", package], capture_output=True, text=True)
    status, _, version = found.stdout.partition(" ")
    return version if found.returncode == 0 and status == "installed" else None


def take_installed(package, stage):
    """Copies the kept files of an installed package."""
    listed = subprocess.run(["dpkg", "-L", package], check=True, capture_output=True, text=True).stdout
    for line in listed.splitlines():
        take_file(pathlib.Path(line), line.lstrip("/"), stage)


def take_downloaded(package, stage):
    """The same from the package's file, fetched by apt-get; its version, or None where it cannot be had."""
    with tempfile.TemporaryDirectory() as folder:
        fetched = subprocess.run(["apt-get", "download", "-q", package], cwd=folder, capture_output=True, text=True)
        files = list(pathlib.Path(folder).glob("*.deb"))
        if fetched.returncode != 0 or len(files) != 1:
            return None
        content = pathlib.Path(folder) / "content"
        subprocess.run(["dpkg-deb", "-x", files[0], content], check=True)
        for file in sorted(content.rglob("*")):
            take_file(file, str(file.relative_to(content)), stage)
        return subprocess.run(["dpkg-deb", "-f", files[0], "Version"], check=True, capture_output=True,
                              text=True).stdout.strip()


def take_file(source, name, stage):
    if name.startswith("lib/"):  # the same folder on Debian
        name = "usr/" + name
    if not KEPT.match(name) or LEFT_OUT.search(name) or (source.is_dir() and not source.is_symlink()):
        return
    target = stage / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink() and os.readlink(source).startswith(f"/lib/{TRIPLET}/"):  # of the same folder, see above
        target.unlink(missing_ok=True)
        target.symlink_to(pathlib.Path(os.readlink(source)).name)
        return
    shutil.copy2(source, target, follow_symlinks=False)


def lacking(stage):
    """What the prefix lacks: files the build asks for, and shared libraries that its own ones ask for."""
    missing = [name for name in NEEDED_FILES if not (stage / name).exists()]
    there = {file.name for file in stage.rglob("*.so*")}
    for file in [*sorted(stage.rglob("*.so*")), stage / "usr/bin/pkgconf"]:
        if file.is_symlink() or not file.is_file():
            continue
        dynamic = subprocess.run(["readelf", "-d", file], capture_output=True, text=True).stdout
        for library in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic):
            if library not in there and not OF_THE_MACHINE.match(library):
                missing.append(f"{library}, which {file.name} needs")
    return missing


def take_nanobind(root, stage):
    """The Python module, of the environment that the package is built in."""
    made = subprocess.run([root / "host/python/environment.sh"], capture_output=True, text=True)
    found = subprocess.run([made.stdout.strip() or "python3", "-c", "import nanobind; print(*nanobind.__path__)"],
                           capture_output=True, text=True)
    if found.returncode != 0:
        raise PackError(f"nanobind cannot be had: {(made.stderr or found.stderr).strip().splitlines()[-1:]}")
    shutil.copytree(found.stdout.strip(), stage / "python/nanobind", ignore=shutil.ignore_patterns("__pycache__"))


def golden_folder(root):
    """Where the golden fixtures are, or None."""
    folder = pathlib.Path(os.environ.get("REC_GOLDEN_DIR") or root.parent / "shared/golden")
    return folder if any(folder.glob("*/params.txt")) else None


def make(root, file):
    """Writes the pack of the checkout root; what it holds, in sentences. Throws PackError."""
    tools = [tool for tool in ("dpkg", "dpkg-query", "dpkg-deb", "apt-get", "readelf") if not shutil.which(tool)]
    if tools:
        raise PackError(f"a pack is made on Debian 12, with binutils; not found here: {', '.join(tools)}")
    with tempfile.TemporaryDirectory() as folder:
        stage = pathlib.Path(folder)
        versions, missing = {}, []
        for package in PACKAGES:
            version = installed_version(package)
            if version:
                take_installed(package, stage)
            else:
                version = take_downloaded(package, stage)
            if version:
                versions[package] = version
            else:
                missing.append(package)
        if missing:
            raise PackError(f"these packages are neither installed nor to be had by apt-get download: {', '.join(missing)}")
        missing = lacking(stage)
        if missing:
            raise PackError(f"the packages lack {'; '.join(missing)}")
        take_nanobind(root, stage)
        golden = golden_folder(root)
        if golden:
            shutil.copytree(golden, stage / "golden", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        (stage / "pack.json").write_text(json.dumps({"commit": commit(root), "packages": versions}, indent=1) + "\n")
        write_archive(stage, file)
    size = file.stat().st_size
    if size >= LIMIT_BYTES:
        raise PackError(f"{file} is {size / 2**20:.1f} MiB, above the {LIMIT_BYTES >> 20} MiB that may travel")
    return [f"{file}: {size / 2**20:.1f} MiB, {len(versions)} packages",
            "with the golden fixtures" if golden else
            "without the golden fixtures: neither ../shared/golden nor REC_GOLDEN_DIR holds any"]


def commit(root):
    """Of the checkout; "-dirty" where it has changes, "unknown" where git does not say."""
    found = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"], cwd=root,
                           capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else "unknown"


def write_archive(stage, file):
    file.parent.mkdir(parents=True, exist_ok=True)

    def plain(entry):
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry

    unfinished = file.with_name(file.name + ".unfinished")
    with lzma.open(unfinished, "wb", preset=1) as compressed, tarfile.open(fileobj=compressed, mode="w") as archive:
        for entry in sorted(stage.rglob("*")):
            if not entry.is_dir() or entry.is_symlink():
                archive.add(entry, entry.relative_to(stage), filter=plain)
    unfinished.replace(file)


def unpack(file, prefix):
    """Makes the prefix from the pack, once; what pack.json says. Throws PackError."""
    if (prefix / "pack.cmake").exists() and (prefix / "pack.json").exists():
        return json.loads((prefix / "pack.json").read_text())
    if not file.exists():
        raise PackError(f"{file} is not there; bench/gpu_check pack makes it, on a machine with Debian 12")
    shutil.rmtree(prefix, ignore_errors=True)
    prefix.mkdir(parents=True)
    try:
        with tarfile.open(file, "r:xz") as archive:
            archive.extractall(prefix, **({"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}))
        content = json.loads((prefix / "pack.json").read_text())
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError, json.JSONDecodeError) as error:
        raise PackError(f"{file} is damaged ({error}); make it again with bench/gpu_check pack") from error
    write_pkg_config(prefix)
    write_cmake(prefix)
    return content


def write_pkg_config(prefix):
    """pkgconf of the pack, which sees the pack's packages and no others."""
    folders = [prefix / LIBRARIES / "pkgconfig", prefix / OPENBLAS / "pkgconfig", prefix / "usr/share/pkgconfig"]
    script = prefix / "pkg-config"
    script.write_text(f"""#!/bin/sh
export PKG_CONFIG_SYSROOT_DIR='{prefix}' PKG_CONFIG_LIBDIR='{":".join(map(str, folders))}' PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1
export LD_LIBRARY_PATH='{prefix / LIBRARIES}'
exec '{prefix}/usr/bin/pkgconf' "$@"
""")
    script.chmod(0o755)


def write_cmake(prefix):
    """Cache entries: where to look, and that programs find the pack's libraries, those that libraries need included."""
    folders = [prefix / LIBRARIES, prefix / OPENBLAS]
    flags = " ".join(["-Wl,--disable-new-dtags", *(f"-Wl,-rpath,{folder}" for folder in folders)])
    (prefix / "pack.cmake").write_text(f"""set(CMAKE_PREFIX_PATH "{prefix}/usr" CACHE PATH "")
set(CMAKE_LIBRARY_PATH "{prefix / LIBRARIES}" CACHE PATH "")
set(PKG_CONFIG_EXECUTABLE "{prefix}/pkg-config" CACHE FILEPATH "")
set(CMAKE_EXE_LINKER_FLAGS "{flags}" CACHE STRING "")
""")
