/** VMCS fields of the segment registers (SDM volume 3, appendix B), as data for both halves. */
import { VmcsField } from '@paravisor/hcl-protocol';

/** Encodings of one segment's four fields. */
export interface SegmentVmcsFields {
  readonly selector: number;
  readonly limit: number;
  readonly accessRights: number;
  readonly base: number;
}

/** In the order ES CS SS DS FS GS LDTR TR, which virt-core's `Segment` and the processor's segment records share. */
export const segmentVmcsFields: readonly SegmentVmcsFields[] = (['Es', 'Cs', 'Ss', 'Ds', 'Fs', 'Gs', 'Ldtr', 'Tr'] as const).map((name) => ({
  selector: VmcsField[`${name}Selector`],
  limit: VmcsField[`${name}Limit`],
  accessRights: VmcsField[`${name}AccessRights`],
  base: VmcsField[`${name}Base`],
}));
