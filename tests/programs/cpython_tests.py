# Runs CPython's own tests of the modules named, and prints the outcome of each: "outcome name", sorted.
#
#   cpython_tests.py RESULTS PATTERN MODULE...    leaves out the tests whose name matches PATTERN
#
# RESULTS is the file that the outcomes go to: some tests write to the standard output, and some close it.
import re
import sys
import unittest


class Outcomes(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def note(self, test, outcome):
        # A test fails if any of its parts does.
        if self.outcomes.get(test.id()) not in ("failed", "error"):
            self.outcomes[test.id()] = outcome

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note(test, "passed")

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.note(test, "failed")

    def addError(self, test, error):
        super().addError(test, error)
        self.note(test, "error")

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "skipped")

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.note(test, "failed")


def tests_in(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_in(test)
        else:
            yield test


def main(results, pattern, *modules):
    left_out = re.compile(pattern)
    loaded = unittest.defaultTestLoader.loadTestsFromNames(modules)
    suite = unittest.TestSuite(test for test in tests_in(loaded) if not left_out.search(test.id()))
    outcomes = Outcomes()
    suite.run(outcomes)
    for test, trace in outcomes.failures + outcomes.errors:
        print(test.id(), trace, sep="\n", file=sys.stderr)
    with open(results, "w") as file:
        for name, outcome in sorted(outcomes.outcomes.items()):
            print(outcome, name, file=file)


if __name__ == "__main__":
    main(*sys.argv[1:])
