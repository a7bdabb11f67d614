/** The packages that have a README, each a page with its text. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';

const packages = new URL('../../packages/', import.meta.url);
const readmeOf = (room: string): URL => new URL(`${room}/README.md`, packages);

/** Names of these packages, as folders. */
const rooms = readdirSync(packages).filter((room) => existsSync(readmeOf(room)));

export default {
  paths: () => rooms.map((room) => ({ params: { room }, content: readFileSync(readmeOf(room), 'utf8') })),
};
