import { describeBackingContract } from '@paravisor/partition/testing';
import { exampleBacking } from '@paravisor/example-backing';

describeBackingContract(exampleBacking());
