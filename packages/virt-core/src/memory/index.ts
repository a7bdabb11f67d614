/** Pages that belong to the hypervisor and appear in guest memory. What is in them is their owner's: the SynIC, the VP assist page. */
export { OverlayPage } from './overlay-page.js';
export type { OverlayPageState } from './overlay-page.js';
