/** Foreign firmware as options of the command line. */
import { guest } from "../guests/guests.ts";

/** SeaBIOS finds its VGA BIOS beside it, through `-L`. */
export async function seabios(name: "seabios" | "seabios-256k"): Promise<string[]> {
  const path = await guest(name), at = path.lastIndexOf("/");
  await guest("vgabios-stdvga");
  return ["-L", path.slice(0, at), "-bios", path.slice(at + 1)];
}
