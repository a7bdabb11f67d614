/** The contract suite on the backings that ship here; the one in docs/examples runs it for itself. */
import { snpBacking } from '@paravisor/backing-snp';
import { tdxBacking } from '@paravisor/backing-tdx';
import { describeBackingContract } from '@paravisor/partition/testing';

describeBackingContract(tdxBacking());
describeBackingContract(snpBacking());
