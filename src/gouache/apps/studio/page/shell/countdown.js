// The time left as it is shown. The server estimates it anew with every step, and the estimate goes up and down: what
// is shown goes down, stands still at most, and only goes up where it was far too short, which is said then.

const CALM = 3; // seconds in which two thirds of a difference are made up for
const FAR = 1.5; // times as long as what is shown, and
const SOME = 10; // seconds more: that is far
const SAID = 8; // seconds that it is said

/** Gives (what, told, now) -> {left, longer}, in seconds, null where nothing is told. `what` is waited for: another one
 * begins anew. `longer`: it takes longer than was shown. */
export function makeCountdown() {
  let [of, end, seen, saidUntil] = [null, 0, 0, 0];

  return (what, told, now) => {
    if (told === null) {
      of = null;
      return { left: null, longer: false };
    }
    if (what !== of) [of, end, seen, saidUntil] = [what, now + told, now, 0];
    const passed = now - seen;
    const [shown, wrong] = [end - now, now + told - end];
    const nearer = wrong * (1 - Math.exp(-passed / CALM));
    seen = now;
    if (told > FAR * shown + SOME) saidUntil = now + SAID;
    if (told > FAR * shown + SOME || shown > FAR * told + SOME) end = now + told;
    else end += Math.min(passed, nearer);
    return { left: Math.max(0, end - now), longer: now < saidUntil };
  };
}
