/** Small drawings, decoration all of them: what they mean is said beside them. */
import type { ComponentChildren } from 'preact';

const icon = (children: ComponentChildren, className = 'icon') => (
    <svg class={className} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        {children}
    </svg>
);

export const BackIcon = () => icon(<path d="M15 5l-7 7 7 7" />);
export const CloseIcon = () => icon(<path d="M6 6l12 12M18 6L6 18" />);
export const DownIcon = () => icon(<path d="M6 9l6 6 6-6" />);
export const SearchIcon = () =>
    icon(
        <>
            <circle cx="11" cy="11" r="6.5" />
            <path d="M16 16l4.5 4.5" />
        </>,
    );
export const HelpIcon = () =>
    icon(
        <>
            <circle cx="12" cy="12" r="9" />
            <path d="M9.6 9.3a2.5 2.5 0 1 1 3.6 2.3c-.8.4-1.2 1-1.2 1.9M12 16.6v.1" />
        </>,
    );
export const EyeIcon = ({ isOff }: { isOff: boolean }) =>
    icon(
        <>
            <path d="M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z" />
            <circle cx="12" cy="12" r="2.8" />
            {isOff && <path d="M4 4l16 16" />}
        </>,
    );
export const AlertIcon = () =>
    icon(
        <>
            <circle cx="12" cy="12" r="9" />
            <path d="M12 7.5v5.5M12 16.4v.1" />
        </>,
    );
export const LinkIcon = () => icon(<path d="M9 5H5v14h14v-4M13 5h6v6M19 5l-8.5 8.5" />);
export const ClockIcon = () =>
    icon(
        <>
            <circle cx="12" cy="12" r="9" />
            <path d="M12 7v5.2l3.4 2" />
        </>,
    );
export const BoxIcon = () => icon(<path d="M4 8l8-4 8 4v8l-8 4-8-4zM4 8l8 4 8-4M12 12v8" />);
export const KeyIcon = () =>
    icon(
        <>
            <circle cx="8" cy="14" r="4" />
            <path d="M11 11.2L19.5 3M16 6.3l3 3" />
        </>,
    );
/** Drawn stroke by stroke. */
export const CheckMark = () => icon(<path class="stroke" pathLength="1" d="M5.5 12.5l4.4 4.4L18.5 8" />, 'mark');
export const CrossMark = () => icon(<path class="stroke" pathLength="1" d="M7 7l10 10M17 7L7 17" />, 'mark');
