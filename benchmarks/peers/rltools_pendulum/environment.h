/* RLtools' own Pendulum, for its Python package: the file that this looks for in the folder of an environment in C++. */
#include <rl_tools/rl/environments/pendulum/operations_cpu.h>

namespace RL_TOOLS_MODULE_NAME {
    template <typename T, typename TI>
    using ENVIRONMENT_FACTORY = rl_tools::rl::environments::Pendulum<rl_tools::rl::environments::pendulum::Specification<T, TI>>;
}
