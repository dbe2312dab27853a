#!/usr/bin/env bats
# doc/ci.md: the jobs for CI systems are run as those would run them, on a small project with one finding.
#
# The systems' own variables stand for other shells; bats runs each test in a subshell.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load lib
load shim_report

TOP=$BATS_TEST_DIRNAME/..
WORKSPACE=$BATS_FILE_TMPDIR/workspace
PAGE=$BATS_FILE_TMPDIR/page
export BATS_NO_PARALLELIZE_WITHIN_FILE=true

# What of the page a system would read, and the lines that it would give to a shell: into files of $PAGE.
read_page() {
  mkdir "$PAGE"
  python3 - "$TOP/doc/ci.md" "$PAGE" <<'SOURCE'
import json, os, re, sys
import yaml

page = open(sys.argv[1], encoding="utf-8").read()
target = sys.argv[2]
blocks = {m.group(1): re.findall(r"^```(\w+)\n(.*?)^```$", m.group(0), re.M | re.S)
          for m in re.finditer(r"^## ([^\n]*)\n.*?(?=^## |\Z)", page, re.M | re.S)}

def write(name, lines):
    assert "${{" not in lines, "an expression in a shell's line"
    with open(os.path.join(target, name), "w", encoding="utf-8") as file:
        file.write(lines if lines.endswith("\n") else lines + "\n")

def only(section, language):
    [(found, text)] = blocks[section]
    assert found == language, (section, found)
    return text

def github():
    workflow = yaml.safe_load(only("GitHub Actions", "yaml"))
    assert "RACESHIM_GIT" in workflow["env"]
    [job] = workflow["jobs"].values()
    steps = {step.get("name", step.get("uses")): step for step in job["steps"]}
    for name, step in steps.items():
        if "run" in step:
            write("github." + name.split()[0], step["run"])
        # all but the first steps are there to tell of a failure
        late = name not in ("actions/checkout@v4", "Build raceshim", "Check")
        assert late == step.get("if", "").startswith("${{ !cancelled()"), name
    kept = steps["actions/upload-artifact@v4"]["with"]["path"].split()
    kept.append(steps["github/codeql-action/upload-sarif@v4"]["with"]["sarif_file"])
    write("github.kept", "\n".join(kept))

def gitlab():
    [job] = yaml.safe_load(only("GitLab CI", "yaml")).values()
    assert "RACESHIM_GIT" in job["variables"]
    for part in ("before_script", "script", "after_script"):
        assert all(isinstance(line, str) for line in job[part])
        write("gitlab." + part, "\n".join(job[part]))
    assert job["artifacts"]["when"] == "always"
    write("gitlab.kept", "\n".join(job["artifacts"]["paths"] + [job["artifacts"]["reports"]["junit"]]))

def jenkins():
    pipeline = only("Jenkins", "groovy")
    shell = re.findall(r"\bsh (?:'''(.*?)'''|'([^'\n]*)')", pipeline, re.S)
    assert len(shell) == len(re.findall(r"\bsh\b", pipeline)) == 4
    assert "\\" not in pipeline and pipeline.count("{") == pipeline.count("}")
    for name, (long, short) in zip(("build", "check", "findings", "post"), shell):
        write("jenkins." + name, long or short)
    kept = re.findall(r"\bjunit '(.*)'", pipeline) + re.findall(r"artifacts: '(.*?)'", pipeline)[0].split(", ")
    write("jenkins.kept", "\n".join(kept))

github()
gitlab()
jenkins()
write("baseline", "".join(text for language, text in blocks["The baseline"]))
SOURCE
}

# The source tree as its repository has it, with what is not committed yet.
make_repository() {
  mkdir "$BATS_FILE_TMPDIR/repository"
  (
    cd "$TOP" || exit
    if [ -e .git ]; then git ls-files -co --exclude-standard; else cat MANIFEST; fi | tar -cf - -T -
  ) | tar -xf - -C "$BATS_FILE_TMPDIR/repository"
  cd "$BATS_FILE_TMPDIR/repository" || return
  git init -q .
  git add -A
  git -c user.name=tester -c user.email=tester@example.org commit -q -m tree
}

# A runner's sudo and apt-get, which here only tell what they were asked for.
make_runner() {
  mkdir "$BATS_FILE_TMPDIR/bin"
  printf '#!/bin/sh\nexec "$@"\n' >"$BATS_FILE_TMPDIR/bin/sudo"
  printf '#!/bin/sh\nprintf "%%s\\n" "$@" >>"%s"\n' "$BATS_FILE_TMPDIR/asked" >"$BATS_FILE_TMPDIR/bin/apt-get"
  chmod 755 "$BATS_FILE_TMPDIR/bin"/*
}

# on_system SHELL... SCRIPT-NAME: runs that script in the workspace, as the system does
on_system() {
  local script=${*: -1}
  (
    cd "$WORKSPACE" || exit
    env -u LD_PRELOAD -u RACESHIM -u MAKEFLAGS -u DEBUGINFOD_URLS CI=true PATH="$BATS_FILE_TMPDIR/bin:$PATH" \
      RACESHIM_GIT="file://$BATS_FILE_TMPDIR/repository" GITHUB_WORKSPACE="$WORKSPACE" \
      GITHUB_STEP_SUMMARY="$WORKSPACE/summary" "${@:1:$#-1}" "$PAGE/$script"
  ) </dev/null 3>&-
}

# Without the programs that it takes, each test says which it lacks.
setup_file() {
  local tool
  for tool in autoreconf libtoolize make gcc git python3; do
    command -v "$tool" >/dev/null || return 0
  done
  python3 -c 'import yaml' 2>/dev/null || return 0
  read_page
  make_repository
  make_runner
  mkdir "$WORKSPACE"
  on_system bash -e github.Build >"$BATS_FILE_TMPDIR/build.log" 2>&1 || {
    cat "$BATS_FILE_TMPDIR/build.log"
    return 1
  }
}

# A project whose test locks a file through two descriptors.
prepare() {
  need autoreconf libtoolize make gcc git python3 jq xmllint
  python3 -c 'import yaml' 2>/dev/null || skip "python3-yaml is not installed"
  not_under_valgrind "the programs are not run with the prefix"
  find "$WORKSPACE" -mindepth 1 -maxdepth 1 ! -name .raceshim -exec rm -r {} +
  cd "$WORKSPACE" || return
  # Some tests change a line.
  cp -r "$PAGE" "$WORK/page"
  PAGE=$WORK/page
  build_locker
  printf 'check:\n\t./locker data\n' >Makefile
  : >raceshim.baseline
}

# is_kept SYSTEM: every file that the job keeps is there
is_kept() {
  local pattern
  while read -r pattern; do
    compgen -G "$pattern" >/dev/null || {
      printf 'not there: %s\n' "$pattern"
      return 1
    }
  done <"$PAGE/$1.kept"
}

know_all() { PATH=$WORKSPACE/.raceshim/bin:$PATH on_system sh -e baseline; }

# expect STATUS SHELL... SCRIPT-NAME
expect() {
  local wanted=$1
  shift
  run on_system "$@"
  printf '%s\n' "$* -> $status" "$output"
  [ "$status" -eq "$wanted" ]
}

@test "I1: the documented CI jobs install what the build needs, and build raceshim by the same lines" {
  local package
  . "$TOP/tools/prepare.sh"
  for package in "${build_packages[@]}"; do
    grep -qx -- "$package" "$BATS_FILE_TMPDIR/asked"
  done
  build_lines() { grep -hE '^ *(git clone|\(cd )' "$PAGE/$1" | sed 's/^ *//'; }
  [ "$(build_lines github.Build | wc -l)" -eq 2 ]
  [ "$(build_lines github.Build)" = "$(build_lines gitlab.before_script)" ]
  [ "$(build_lines github.Build)" = "$(build_lines jenkins.build)" ]
  [ "$(grep -h apt-get "$PAGE/github.Build" | sed 's/^sudo //')" = "$(grep -h apt-get "$PAGE/gitlab.before_script")" ]
  run .raceshim/bin/shim-run --version
  [ "$status" -eq 0 ]
}

@test "I1: the documented job for GitHub Actions annotates what is new, fails, and passes once that is known" {
  expect 0 bash -e github.Check
  expect 66 bash -e github.Findings
  [[ $output == *"::warning file=locker.c,line="*"self-lock"* ]]
  grep -q '^| 0 | 1 | 0 |$' summary
  grep -q 'takes_second' summary
  jq -e '.version == "2.1.0" and (.runs[0].results | length) == 1' raceshim.sarif
  grep -q takes_first raceshim.html
  is_kept github
  rm -r raceshim-session summary
  know_all
  rm -r raceshim-session
  expect 0 bash -e github.Check
  expect 0 bash -e github.Findings
  [[ $output != *::warning* ]]
  grep -qx 'No finding.' summary
}

@test "I1: the documented job for GitLab CI lists what is new as a failed test, fails, and passes once that is known" {
  gitlab() {
    rm -rf raceshim-session
    expect "$1" bash -eo pipefail gitlab.script &&
      expect 0 bash -eo pipefail gitlab.after_script
  }
  gitlab 66
  [ "$(xmllint --xpath 'string(//testsuite/@failures)' raceshim.xml)" = 1 ]
  [[ $(xmllint --xpath 'string(//testcase/failure/@message)' raceshim.xml) == *"self-lock"*"takes_second"* ]]
  is_kept gitlab
  know_all
  gitlab 0
  [ "$(xmllint --xpath 'string(//testsuite/@failures)' raceshim.xml)" = 0 ]
  [ "$(xmllint --xpath 'count(//testcase)' raceshim.xml)" = 1 ]
}

@test "I1: the documented job for Jenkins lists what is new as a failed test, fails, and passes once that is known" {
  # The workspace of the build before; raceshim itself is not built again.
  jenkins() {
    sed -i 's/rm -rf .raceshim /rm -rf /; /^ *git clone/d; /^ *(cd /d' "$PAGE/jenkins.build"
    expect 0 sh -xe jenkins.build &&
      expect 0 sh -xe jenkins.check &&
      expect "$1" sh -xe jenkins.findings &&
      expect 0 sh -xe jenkins.post
  }
  jenkins 66
  [ "$(xmllint --xpath 'string(//testsuite/@failures)' raceshim.xml)" = 1 ]
  is_kept jenkins
  know_all
  jenkins 0
  [ "$(xmllint --xpath 'string(//testsuite/@failures)' raceshim.xml)" = 0 ]
}

@test "I1: in the documented CI jobs a wait for a lock is given up, and the reports are written though the command fails" {
  need flock
  local system
  printf 'check:\n\tflock hung sh -c "flock hung true"\n' >Makefile
  sed -i 's/--lock-timeout=300/--lock-timeout=0.2/' "$PAGE"/{github.Check,gitlab.script,jenkins.check}
  for system in github.Check gitlab.script jenkins.check; do
    rm -rf raceshim-session raceshim.html
    expect 66 bash -eo pipefail "$system"
    [[ $output == *lock-timeout*hung* ]]
    [ -s raceshim.html ]
  done
  expect 66 bash -e github.Findings
  [[ $output == *"::error title=lock-timeout%3A hung::"* ]]
  expect 0 bash -eo pipefail gitlab.after_script
  expect 0 sh -xe jenkins.post
  grep -q lock-timeout raceshim.xml
}
