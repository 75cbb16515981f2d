/** From a configuration to a running machine and its exit status. */
import type { MachineConfig } from "../../core/options/config.ts";
import type { LaunchHooks } from "../../core/options/program.ts";
import { UserError } from "../../core/errors.ts";

/**
 * Builds the machine, calls {@link LaunchHooks.initialised} before the first instruction, runs it,
 * and resolves to the exit status. Throws UserError for what the user got wrong.
 */
export function launch(_config: MachineConfig, _hooks: LaunchHooks): Promise<number> {
  return Promise.reject(new UserError("this build has no machine to run"));
}
