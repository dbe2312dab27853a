/* A scope as a guard in C++: it is left when the block ends, by an exception too.
 *
 *     c++ scope.cc $(pkg-config --cflags --libs raceshim) -pthread -o scope
 *     ./scope               the second build's OUT_DIR is everybody's
 *     shim-run ./scope      each has its own
 */
#include <cerrno>
#include <cstdlib>
#include <future>
#include <iostream>
#include <raceshim.h>
#include <stdexcept>
#include <string>
#include <system_error>

namespace {

class EnvironmentScope {
  public:
    EnvironmentScope() {
        if (raceshim_scope_enter(&scope) != 0)
            throw std::system_error(errno, std::generic_category(), "raceshim_scope_enter");
    }
    ~EnvironmentScope() {
        raceshim_scope_leave(&scope);
    }
    EnvironmentScope(const EnvironmentScope &) = delete;
    EnvironmentScope &operator=(const EnvironmentScope &) = delete;

  private:
    raceshim_scope scope = {};
};

std::string value(const char *name) {
    const char *found = std::getenv(name);
    return found ? found : "";
}

/* Throws, as compilers do. */
void compile(const std::string &mode) {
    EnvironmentScope inner;
    setenv("COMPILER_MODE", mode.c_str(), 1);
    throw std::runtime_error(value("OUT_DIR") + " " + value("COMPILER_MODE"));
}

std::string build(const std::string &name, std::promise<void> &set, std::shared_future<void> go) {
    EnvironmentScope outer;
    setenv("OUT_DIR", ("/tmp/" + name).c_str(), 1);
    set.set_value();
    go.wait();
    try {
        compile(name);
    } catch (const std::runtime_error &error) {
        return error.what() + std::string(", then ") + value("COMPILER_MODE");
    }
    return "";
}

} // namespace

int main() {
    std::promise<void> set[2], go;
    std::shared_future<void> start(go.get_future());
    auto one = std::async(std::launch::async, [&] { return build("one", set[0], start); });
    auto two = std::async(std::launch::async, [&] { return build("two", set[1], start); });
    for (auto &promise : set)
        promise.get_future().wait();
    go.set_value();
    std::cout << "active=" << raceshim_active() << "\none=" << one.get() << "\ntwo=" << two.get()
              << "\nafterwards=" << value("OUT_DIR") << "\n";
}
