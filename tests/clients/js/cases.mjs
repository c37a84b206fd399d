/** Where Paddock is, and cases that are tried one after the other, each told in a line. */

export const url = process.env.PADDOCK_URL;
export const key = process.env.PADDOCK_KEY;

/** What is said to the model `echo` in one conversation, and what it answers. */
export const turns = [
  ['red', ': red (0 answered)'],
  ['green', ': red, green (1 answered)'],
  ['blue', ': red, green, blue (2 answered)'],
];

/** Which results of tools `echo` was told, in the order of the alphabet: calls that run together may end in any. */
export const toolsSaid = (told) => (told.split(', tools said ')[1] ?? '').split(', ').sort();

/** The whole of something that comes piece by piece. */
export async function all(stream) {
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return pieces;
}

export async function test(name, run) {
  try {
    await run();
    console.log(`  ok      ${name}`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`  FAILED  ${name}: ${error}`);
    console.log(error?.stack?.split('\n').find((line) => line.includes('/with_')) ?? '');
  }
}
