/** The settings of the Connect UI, as they are read, written and declared (webhooks §4.8). */
import { z } from 'zod';

/** It becomes part of a style sheet: a hexadecimal colour and nothing else. */
const Colour = z
    .string()
    .regex(/^#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/)
    .meta({ description: '`#rgb` or `#rrggbb`.', examples: ['#1f5eff'] });
const Palette = z.strictObject({ primary: Colour });

export const ConnectUi = z.strictObject({
    defaultTheme: z.enum(['light', 'dark', 'system']).describe('Unless the page that opens the Connect UI chooses one.'),
    theme: z.strictObject({ light: Palette, dark: Palette }),
    showWatermark: z.boolean(),
    closeOnSuccess: z.boolean().default(false).describe('Whether an embedded Connect UI closes by itself a moment after a success.'),
});
