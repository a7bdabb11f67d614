/** VitePress's own theme, and the component that runs guests in the reader's browser. */
import DefaultTheme from 'vitepress/theme';
import type { Theme } from 'vitepress';
import GuestRunner from './GuestRunner.vue';

export default {
  extends: DefaultTheme,
  enhanceApp: ({ app }) => void app.component('GuestRunner', GuestRunner),
} satisfies Theme;
