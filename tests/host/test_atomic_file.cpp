// Files appear whole or not at all, and what the system refuses becomes a sentence.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>

#include "host/formats/atomic_file.h"
#include "host/formats/mapped_file.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

using Names = std::vector<std::string>;

TEST_CASE("atomic file: the old content stands until commit") {
  const TemporaryFolder folder;
  put(folder / "x", "old");
  {
    AtomicFile file(folder / "x");
    file.write("new");
    CHECK(get(folder / "x") == "old");
    file.commit();
    CHECK(get(folder / "x") == "new");
  }
  CHECK(folder.names() == Names{"x"});
}

TEST_CASE("atomic file: without commit nothing is left behind") {
  const TemporaryFolder folder;
  { AtomicFile(folder / "x").write("half of it"); }
  CHECK(folder.names().empty());
}

TEST_CASE("atomic file: no folder, and a folder in its place") {
  const TemporaryFolder folder;
  CHECK_THAT(refusal([&] { write_whole_file(folder / "no/x", "1"); }),
             Catch::Contains("no/x") && Catch::Contains("make the folder first"));
  make_folder(folder / "x");
  CHECK_THAT(refusal([&] { write_whole_file(folder / "x", "1"); }), Catch::Contains("is a folder"));
  put(folder / "y", "");
  CHECK_THAT(refusal([&] { make_folder(folder / "y"); }), Catch::Contains("y"));
  CHECK_THAT(refusal([&] { make_folder(folder / "y/z"); }), Catch::Contains("cannot be made"));
}

TEST_CASE("atomic file: links are followed, and stay") {
  const TemporaryFolder folder;
  put(folder / "to/x", "old");
  REQUIRE(::symlink("to/x", (folder / "link").c_str()) == 0);
  REQUIRE(::symlink("link", (folder / "again").c_str()) == 0);
  write_whole_file(folder / "again", "new");
  CHECK(get(folder / "to/x") == "new");
  REQUIRE(::symlink((folder / "to/y").c_str(), (folder / "ahead").c_str()) == 0);
  write_whole_file(folder / "ahead", "first");
  CHECK(get(folder / "to/y") == "first");
  CHECK(folder.names() == Names{"again", "ahead", "link", "to"});
  for (const char* link : {"link", "again", "ahead"})
    CHECK(std::filesystem::is_symlink(folder / link));
  REQUIRE(::symlink("round", (folder / "round").c_str()) == 0);
  CHECK_THAT(refusal([&] { write_whole_file(folder / "round", "1"); }),
             Catch::Contains("round") && Catch::Contains("leads to no file"));
}

TEST_CASE("atomic file: what is no file is written to, not replaced") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const int reader = ::open((folder / "pipe").c_str(), O_RDONLY | O_NONBLOCK);
  REQUIRE(reader >= 0);
  write_whole_file(folder / "pipe", "through");
  char got[16];
  CHECK(::read(reader, got, sizeof(got)) == 7);
  ::close(reader);
  struct stat facts {};
  REQUIRE(::stat((folder / "pipe").c_str(), &facts) == 0);
  CHECK(S_ISFIFO(facts.st_mode));
  CHECK(folder.names() == Names{"pipe"});
  // A link, so that a program that replaces what it writes to does no harm.
  REQUIRE(::symlink("/dev/null", (folder / "null").c_str()) == 0);
  write_whole_file(folder / "null", "gone");
  CHECK(std::filesystem::is_symlink(folder / "null"));
}

// The limit on a file's size stands for a full disk: both make write() fail part of the way.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, SIG_DFL);
  }

 private:
  rlimit before_;
};

TEST_CASE("atomic file: a write that fails leaves the earlier file and nothing else") {
  const TemporaryFolder folder;
  put(folder / "x", "old");
  std::string sentence;
  {
    const FileSizeLimit limit(1000);
    sentence = refusal([&] { write_whole_file(folder / "x", std::string(5000, 'n')); });
  }
  CHECK_THAT(sentence, Catch::Contains("x: cannot be written"));
  CHECK(get(folder / "x") == "old");
  CHECK(folder.names() == Names{"x"});
}

TEST_CASE("atomic file: a full disk says so") {
  if (::access("/dev/full", W_OK) != 0) {
    WARN("full disk: not tried, there is no /dev/full");
    return;
  }
  // /dev/full refuses every write; the folder's own files cannot be made to on every machine.
  const TemporaryFolder folder;
  const std::string temporary = (folder / "x") + ".part" + std::to_string(::getpid());
  REQUIRE(::symlink("/dev/full", temporary.c_str()) == 0);
  CHECK_THAT(refusal([&] { write_whole_file(folder / "x", "1"); }),
             Catch::Contains("No space left") && Catch::Contains("free some space"));
  CHECK(folder.names().empty());
}

TEST_CASE("atomic file: a folder that may not be written to") {
  if (::geteuid() == 0) {
    WARN("read-only folder: not tried, root may write anywhere");
    return;
  }
  const TemporaryFolder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0500) == 0);
  CHECK_THAT(refusal([&] { write_whole_file(folder / "x", "1"); }),
             Catch::Contains("may write to"));
  REQUIRE(::chmod(folder.path().c_str(), 0700) == 0);
}

TEST_CASE("atomic file: leftovers of processes that are gone are removed, and nothing else") {
  const TemporaryFolder folder;
  const pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  REQUIRE(gone > 0);
  REQUIRE(::waitpid(gone, nullptr, 0) == gone);
  const std::string dead = std::to_string(gone), alive = std::to_string(::getpid());
  Names stay = {"x",
                "x.part" + alive,
                "x.part",
                "x.parts" + dead,
                "x.part" + dead + ".bak",
                "x.part-" + dead,
                "xy.part" + dead};
  std::sort(stay.begin(), stay.end());
  for (const std::string& name : stay) put(folder / name, "");
  put(folder / ("x.part" + dead), "half");
  remove_leftovers_of(folder / "x");
  CHECK(folder.names() == stay);
  remove_leftovers_of(folder / "no/x");  // where there is no folder there is nothing to remove
}

TEST_CASE("mapped file: content, an empty file, and what is no file") {
  const TemporaryFolder folder;
  put(folder / "x", std::string_view("a\0b", 3));
  put(folder / "empty", "");
  CHECK(MappedFile(folder / "x").bytes() == std::string_view("a\0b", 3));
  CHECK(MappedFile(folder / "empty").size() == 0);
  CHECK_THAT(refusal([&] { MappedFile(folder / "no"); }), Catch::Contains("no such file"));
  CHECK_THAT(refusal([&] { MappedFile(folder.path()); }), Catch::Contains("is a folder"));
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_THAT(refusal([&] { MappedFile(folder / "pipe"); }), Catch::Contains("not a plain file"));
  CHECK_THAT(refusal([&] { MappedFile((folder / "x") + "/y"); }), Catch::Contains("x/y"));
}

}  // namespace
}  // namespace rec::test
