/** What the shape of a translation is made from: order, dominators, loops and joins of a small graph entered at node 0. */
export interface ControlFlow {
  /** Nodes that can be reached, in reverse postorder. */
  readonly order: readonly number[];
  /** Place of each node in `order`; -1 if it cannot be reached. */
  readonly place: readonly number[];
  /** For each node the nodes that it dominates immediately, in reverse postorder. */
  readonly children: readonly (readonly number[])[];
  /** Nodes that an edge from further on leads back to, and that dominate its source. */
  readonly isLoop: readonly boolean[];
  /** Nodes that more than one edge from before leads to. */
  readonly isJoin: readonly boolean[];
  /** Whether an edge can be part of the structure: all but those back to a node that does not dominate their source. */
  isStructured(from: number, to: number): boolean;
}

/** `successors` has one entry an edge: a node twice if two edges lead to it. */
export function analyze(successors: readonly (readonly number[])[]): ControlFlow {
  const count = successors.length;
  const order = reversePostorder(successors);
  const place = new Array<number>(count).fill(-1);
  order.forEach((node, i) => {
    place[node] = i;
  });
  const predecessors: number[][] = successors.map(() => []);
  for (const node of order) for (const next of successors[node]!) predecessors[next]!.push(node);
  const dominator = immediateDominators(order, place, predecessors);
  const dominates = (node: number, other: number): boolean => {
    let at = other;
    while (place[at]! > place[node]!) at = dominator[at]!;
    return at === node;
  };
  const isBack = (from: number, to: number): boolean => place[to]! <= place[from]!;
  const children: number[][] = successors.map(() => []);
  for (const node of order) if (node !== order[0]) children[dominator[node]!]!.push(node);
  const isLoop = new Array<boolean>(count).fill(false);
  const isJoin = new Array<boolean>(count).fill(false);
  for (const node of order) {
    let before = 0;
    for (const from of predecessors[node]!) {
      if (!isBack(from, node)) before++;
      else if (dominates(node, from)) isLoop[node] = true;
    }
    isJoin[node] = before > 1;
  }
  return { order, place, children, isLoop, isJoin, isStructured: (from, to) => !isBack(from, to) || dominates(to, from) };
}

function reversePostorder(successors: readonly (readonly number[])[]): number[] {
  const order: number[] = [];
  const seen = new Set<number>([0]);
  // Each entry: a node, and how many of its edges have been followed.
  const path: [number, number][] = [[0, 0]];
  while (path.length > 0) {
    const top = path.at(-1)!;
    const next = successors[top[0]]![top[1]++];
    if (next === undefined) {
      order.push(top[0]);
      path.pop();
    } else if (!seen.has(next)) {
      seen.add(next);
      path.push([next, 0]);
    }
  }
  return order.toReversed();
}

/** Cooper, Harvey and Kennedy's iteration. */
function immediateDominators(order: readonly number[], place: readonly number[], predecessors: readonly (readonly number[])[]): number[] {
  const dominator = new Array<number>(place.length).fill(-1);
  const entry = order[0]!;
  dominator[entry] = entry;
  for (let changed = true; changed; ) {
    changed = false;
    for (const node of order) {
      if (node === entry) continue;
      let common = -1;
      for (const from of predecessors[node]!) {
        if (dominator[from] === -1) continue;
        common = common === -1 ? from : meet(common, from, dominator, place);
      }
      if (dominator[node] !== common) {
        dominator[node] = common;
        changed = true;
      }
    }
  }
  return dominator;
}

function meet(first: number, second: number, dominator: readonly number[], place: readonly number[]): number {
  let a = first;
  let b = second;
  while (a !== b) {
    while (place[a]! > place[b]!) a = dominator[a]!;
    while (place[b]! > place[a]!) b = dominator[b]!;
  }
  return a;
}
