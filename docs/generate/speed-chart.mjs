/** Guest speed as a bar chart in SVG, readable on light and dark pages. */

/** Engines in the chart, with a colour that both kinds of page bear. The host's own processor would leave no room for the others. */
const SHOWN = { paravisor: ['Paravisor', '#2a78d6'], interpreter: ['its interpreter alone', '#8fb9ea'], qemu: ['QEMU TCG', '#8a8f98'], qemuIcount: ['QEMU TCG, -icount', '#b3b7be'], v86: ['v86 (32-bit build)', '#d08a2e'] };

const WIDTH = 780;
const LEFT = 150;
const RIGHT = 60;
const BAR = 16;
const GAP = 4;
const GROUP_GAP = 18;
const TOP = 44;
/** The width of a letter of the legend, about. */
const LETTER = 7;

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const words = (text, attributes) => `<text ${attributes}>${escape(text)}</text>`;

/** `engines` with their `mips` by phase: medians as bars, least to greatest as a line. */
export function speedChart(phases, engines) {
  const shown = engines.filter(({ name }) => Object.hasOwn(SHOWN, name));
  const most = Math.max(...shown.flatMap(({ mips }) => phases.map(({ name }) => mips[name].max)));
  const x = (mips) => LEFT + (mips / most) * (WIDTH - LEFT - RIGHT);
  const groupHeight = shown.length * (BAR + GAP) + GROUP_GAP;
  const height = TOP + phases.length * groupHeight;
  const bar = (phase, engine, y) => {
    const { min, median, max } = engine.mips[phase];
    const middle = y + BAR / 2;
    return [
      `<rect x="${LEFT}" y="${y}" width="${(x(median) - LEFT).toFixed(1)}" height="${BAR}" rx="2" fill="${SHOWN[engine.name][1]}"/>`,
      `<path d="M${x(min).toFixed(1)} ${middle}H${x(max).toFixed(1)}" class="spread"/>`,
      words(Math.round(median).toLocaleString('en'), `x="${(x(max) + 6).toFixed(1)}" y="${middle + 4}"`),
    ];
  };
  let at = 8;
  const legend = shown.flatMap(({ name }) => {
    const [title, colour] = SHOWN[name];
    const parts = [`<rect x="${at}" y="8" width="12" height="12" rx="2" fill="${colour}"/>`, words(title, `x="${at + 18}" y="18"`)];
    at += 44 + LETTER * title.length;
    return parts;
  });
  const groups = phases.flatMap(({ name }, group) => {
    const y = TOP + group * groupHeight;
    return [words(name, `x="${LEFT - 10}" y="${y + (groupHeight - GROUP_GAP) / 2 + 2}" text-anchor="end"`), ...shown.flatMap((engine, i) => bar(name, engine, y + i * (BAR + GAP)))];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="Million guest instructions a second by phase and engine">`,
    '<style>text { font: 13px system-ui, sans-serif; fill: #1f2328 } .spread { stroke: #1f2328; stroke-width: 1.5; opacity: .55 } @media (prefers-color-scheme: dark) { text { fill: #e6e6e6 } .spread { stroke: #e6e6e6 } }</style>',
    ...legend,
    ...groups,
    '</svg>',
    '',
  ].join('\n');
}
